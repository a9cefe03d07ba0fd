# SPDX-License-Identifier: Apache-2.0
rideau_test(index_lmdb_suite SOURCES index_lmdb_suite.cpp LIBRARIES rideau_testkit rideau_real_runtime lmdb_static)
rideau_test(index_lmdb_driver SOURCES index_lmdb_driver.cpp LIBRARIES rideau_testkit rideau_real_runtime lmdb_static)
rideau_test(index_sim_suite SOURCES index_sim_suite.cpp LIBRARIES rideau_testkit rideau_real_runtime rideau_sim_world)
rideau_test(index_suite_bugs SOURCES index_suite_bugs.cpp LIBRARIES rideau_testkit rideau_sim_world)
# Among the bugs that the suite must find are stores that forget what they were asked to give back.
set_tests_properties(index_suite_bugs PROPERTIES ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
