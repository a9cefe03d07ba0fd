# SPDX-License-Identifier: Apache-2.0
# add_rideau_plugin(NAME SOURCES…): a module library rideau-NAME.so that exports its descriptor and nothing else. NAME is
# what configurations say, and the name in the descriptor; '_' and '-' count as equal.
function(add_rideau_plugin name)
  include(GNUInstallDirs)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE rideau::sdk)
  # A missing symbol is an error now and not when a user loads the plugin.
  target_link_options(${name} PRIVATE -Wl,--no-undefined)
  set_target_properties(${name} PROPERTIES PREFIX "rideau-" SUFFIX ".so" CXX_EXTENSIONS OFF
                        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON)
  install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/rideau/plugins)
endfunction()
