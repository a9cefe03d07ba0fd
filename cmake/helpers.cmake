# SPDX-License-Identifier: Apache-2.0
# rideau_library(NAME SOURCES...): a static library of ours with the warnings of the project.
# rideau_driver(NAME SOURCES...): a driver: a plugin module that includes the SDK alone, and NAME_static for tests.

add_library(rideau_flags INTERFACE)
target_compile_options(rideau_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -fno-plt)
# g++ 12 reports these for coroutine frames that are fine.
target_compile_options(rideau_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
if(RIDEAU_SANITIZE)
  # What is found ends the program, so that no test passes over it.
  target_compile_options(rideau_flags INTERFACE -fsanitize=${RIDEAU_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(rideau_flags INTERFACE -fsanitize=${RIDEAU_SANITIZE})
  if(RIDEAU_SANITIZE MATCHES address)
    # What it does at the end of each scope stands in the way of sibling calls, without which coroutines that take turns
    # pile up on the stack.
    target_compile_options(rideau_flags INTERFACE -fno-sanitize-address-use-after-scope)
  endif()
endif()
if(RIDEAU_FUZZ)
  target_compile_options(rideau_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
                         -fno-omit-frame-pointer)
  target_link_options(rideau_flags INTERFACE -fsanitize=address,undefined)
endif()
if(RIDEAU_GUARDS OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(rideau_flags INTERFACE RIDEAU_GUARDS=1)
endif()

function(rideau_library name)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/sdk/include)
  target_link_libraries(${name} PUBLIC rideau_flags)
endfunction()

# The static form compiles the same sources with RIDEAU_STATIC_PLUGIN; it names its descriptor for the linker itself.
function(rideau_driver name)
  add_library(${name} MODULE ${ARGN})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/sdk/include)
  target_link_libraries(${name} PRIVATE rideau_flags)
  set_target_properties(${name} PROPERTIES PREFIX "rideau-" CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
                        LIBRARY_OUTPUT_DIRECTORY ${RIDEAU_PLUGIN_OUTPUT})
  install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/rideau/plugins)
  add_library(${name}_static STATIC EXCLUDE_FROM_ALL ${ARGN})
  target_include_directories(${name}_static PRIVATE ${CMAKE_SOURCE_DIR}/sdk/include)
  target_compile_definitions(${name}_static PRIVATE RIDEAU_STATIC_PLUGIN=1)
  target_link_libraries(${name}_static PRIVATE rideau_flags)
endfunction()

# rideau_schema(TARGET FILE.capnp): compiles a schema into TARGET; include it as "<path of the schema>.h".
function(rideau_schema target schema)
  cmake_path(ABSOLUTE_PATH schema BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE source)
  cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE relative)
  set(out ${CMAKE_BINARY_DIR}/schema)
  add_custom_command(
    OUTPUT ${out}/${relative}.h ${out}/${relative}.c++
    COMMAND ${CMAKE_COMMAND} -E make_directory ${out}
    COMMAND ${CAPNP_COMPILER} compile -oc++:${out} --src-prefix=${CMAKE_SOURCE_DIR} -I${CMAKE_SOURCE_DIR} ${source}
    DEPENDS ${source} COMMENT "capnp ${relative}")
  target_sources(${target} PRIVATE ${out}/${relative}.c++ ${out}/${relative}.h)
  set_source_files_properties(${out}/${relative}.c++ PROPERTIES COMPILE_OPTIONS "-w")
  target_include_directories(${target} SYSTEM PRIVATE ${out})
  target_link_libraries(${target} PRIVATE PkgConfig::CAPNP)
endfunction()
