# SPDX-License-Identifier: Apache-2.0
# Installs the SDK alone, builds the example against it as a third party would, and runs the conformance kit on what came
# out.
# Arguments: BUILD (of Rideau), EXAMPLE (its sources), WORK (a folder to use), GENERATOR, COMPILER,
# CONFORMANCE (the program below the folder of the installation).
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(failed)
    message(FATAL_ERROR "${ARGN}\n${said}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --component sdk --prefix ${WORK}/installed)
# The example is copied away, so that nothing of the tree around it can be found by accident.
file(COPY ${EXAMPLE}/ DESTINATION ${WORK}/example)
run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${WORK}/example -B ${WORK}/build -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_PREFIX_PATH=${WORK}/installed "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${CMAKE_COMMAND} --install ${WORK}/build --prefix ${WORK}/installed)
file(GLOB_RECURSE plugin ${WORK}/installed/*/rideau-minimal.so)
if(NOT plugin)
  message(FATAL_ERROR "the example was not installed as rideau-minimal.so")
endif()
run(${WORK}/installed/${CONFORMANCE} ${plugin} --config ${WORK}/example/conformance.toml --seed 7)
