# SPDX-License-Identifier: Apache-2.0
# Each driver through the program, loaded and guarded, as the author of a plugin runs it.
foreach(driver inproc tcp zmq lmdb)
  add_test(NAME conformance_${driver} COMMAND rideau-conformance $<TARGET_FILE:${driver}> --seed 7)
  set_tests_properties(conformance_${driver} PROPERTIES TIMEOUT ${RIDEAU_TEST_SECONDS})
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/tests/plain_tcp.toml "local = false\n")
add_test(NAME conformance_tcp_plain COMMAND rideau-conformance $<TARGET_FILE:tcp> --seed 7
         --config ${CMAKE_BINARY_DIR}/tests/plain_tcp.toml)
set_tests_properties(conformance_tcp_plain PROPERTIES TIMEOUT ${RIDEAU_TEST_SECONDS})
# With keys, which `rideau keys` makes first.
set(keys ${CMAKE_BINARY_DIR}/tests/conformance_keys)
add_test(NAME conformance_keys COMMAND sh -c "rm -rf '${keys}' && '$<TARGET_FILE:rideau>' keys authority --dir '${keys}' && '$<TARGET_FILE:rideau>' keys node conformance --dir '${keys}' --address 127.0.0.1")
set_tests_properties(conformance_keys PROPERTIES FIXTURES_SETUP conformance_keys TIMEOUT ${RIDEAU_TEST_SECONDS})
file(WRITE ${CMAKE_BINARY_DIR}/tests/tls_tcp.toml "local = false\ncertificate = \"${keys}/conformance.pem\"\nkey = \"${keys}/conformance.key\"\nauthority = \"${keys}/authority.pem\"\n")
add_test(NAME conformance_tcp_tls COMMAND rideau-conformance $<TARGET_FILE:tcp> --seed 7 --sealed
         --config ${CMAKE_BINARY_DIR}/tests/tls_tcp.toml)
set_tests_properties(conformance_tcp_tls PROPERTIES FIXTURES_REQUIRED conformance_keys TIMEOUT ${RIDEAU_TEST_SECONDS})
set(curve ${CMAKE_BINARY_DIR}/tests/conformance.curve)
add_test(NAME conformance_curve_key COMMAND sh -c "rm -f '${curve}' && '$<TARGET_FILE:rideau>' keys curve '${curve}'")
set_tests_properties(conformance_curve_key PROPERTIES FIXTURES_SETUP conformance_curve_key TIMEOUT ${RIDEAU_TEST_SECONDS})
file(WRITE ${CMAKE_BINARY_DIR}/tests/curve_zmq.toml "key_file = \"${curve}\"\n")
add_test(NAME conformance_zmq_curve COMMAND rideau-conformance $<TARGET_FILE:zmq> --seed 7 --sealed
         --config ${CMAKE_BINARY_DIR}/tests/curve_zmq.toml)
set_tests_properties(conformance_zmq_curve PROPERTIES FIXTURES_REQUIRED conformance_curve_key TIMEOUT ${RIDEAU_TEST_SECONDS})
add_test(NAME conformance_raw_file
         COMMAND rideau-conformance $<TARGET_FILE:raw_file> --index $<TARGET_FILE:lmdb> --seed 7)
set_tests_properties(conformance_raw_file PROPERTIES TIMEOUT ${RIDEAU_TEST_SECONDS})
# A store that keeps its map in an index gets one. Ample, and so small that it fills, with one call at a time.
file(WRITE ${CMAKE_BINARY_DIR}/tests/block_device_0.toml "")
file(WRITE ${CMAKE_BINARY_DIR}/tests/block_device_1.toml "image_size = \"32 MiB\"\nqueue_depth = 1\nmap_cache = \"1 MiB\"\n")
foreach(settings 0 1)
  add_test(NAME conformance_block_device_${settings}
           COMMAND rideau-conformance $<TARGET_FILE:block_device> --index $<TARGET_FILE:lmdb> --seed 7
                   --config ${CMAKE_BINARY_DIR}/tests/block_device_${settings}.toml)
  set_tests_properties(conformance_block_device_${settings} PROPERTIES TIMEOUT ${RIDEAU_TEST_SECONDS})
endforeach()
# Objects so large as the suite wants them.
file(WRITE ${CMAKE_BINARY_DIR}/tests/index_objects.toml "object_size_max = \"128 MiB\"\n")
add_test(NAME conformance_index_objects
         COMMAND rideau-conformance $<TARGET_FILE:index_objects> --index $<TARGET_FILE:lmdb> --seed 7
                 --config ${CMAKE_BINARY_DIR}/tests/index_objects.toml)
set_tests_properties(conformance_index_objects PROPERTIES TIMEOUT ${RIDEAU_TEST_SECONDS})
# A plugin that is none, and a key that is none: a clear error and exit status 2.
add_test(NAME conformance_no_plugin COMMAND rideau-conformance ${CMAKE_CURRENT_LIST_FILE})
set_tests_properties(conformance_no_plugin PROPERTIES PASS_REGULAR_EXPRESSION "not a shared library")
file(WRITE ${CMAKE_BINARY_DIR}/tests/unknown_key.toml "eager_byte = 7\n")
add_test(NAME conformance_unknown_key
         COMMAND rideau-conformance $<TARGET_FILE:tcp> --config ${CMAKE_BINARY_DIR}/tests/unknown_key.toml)
set_tests_properties(conformance_unknown_key PROPERTIES PASS_REGULAR_EXPRESSION
                     "unknown_key.toml:1: .*eager_byte.*did you mean .eager_bytes.")
