# SPDX-License-Identifier: Apache-2.0
# Each driver through the program, loaded and guarded, as the author of a plugin runs it.
foreach(driver inproc tcp lmdb raw_file)
  add_test(NAME conformance_${driver} COMMAND rideau-conformance $<TARGET_FILE:${driver}> --seed 7)
  set_tests_properties(conformance_${driver} PROPERTIES TIMEOUT ${RIDEAU_TEST_SECONDS})
endforeach()
# A plugin that is none, and a key that is none: a clear error and exit status 2.
add_test(NAME conformance_no_plugin COMMAND rideau-conformance ${CMAKE_CURRENT_LIST_FILE})
set_tests_properties(conformance_no_plugin PROPERTIES PASS_REGULAR_EXPRESSION "not a shared library")
file(WRITE ${CMAKE_BINARY_DIR}/tests/unknown_key.toml "eager_byte = 7\n")
add_test(NAME conformance_unknown_key
         COMMAND rideau-conformance $<TARGET_FILE:tcp> --config ${CMAKE_BINARY_DIR}/tests/unknown_key.toml)
set_tests_properties(conformance_unknown_key PROPERTIES PASS_REGULAR_EXPRESSION
                     "unknown_key.toml:1: .*eager_byte.*did you mean .eager_bytes.")
