# SPDX-License-Identifier: Apache-2.0
rideau_test(index_lmdb_suite SOURCES index_lmdb_suite.cpp LIBRARIES rideau_testkit rideau_real_runtime lmdb_static)
rideau_test(index_lmdb_driver SOURCES index_lmdb_driver.cpp LIBRARIES rideau_testkit rideau_real_runtime lmdb_static)
