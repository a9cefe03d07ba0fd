# SPDX-License-Identifier: Apache-2.0
rideau_test(object_raw_file_suite SOURCES object_raw_file_suite.cpp
            LIBRARIES rideau_testkit rideau_real_runtime raw_file_static lmdb_static)
rideau_test(object_sim_suite SOURCES object_sim_suite.cpp
            LIBRARIES rideau_testkit rideau_real_runtime rideau_sim_world)
rideau_test(object_raw_file_driver SOURCES object_raw_file_driver.cpp
            LIBRARIES rideau_testkit rideau_real_runtime raw_file_static lmdb_static)
rideau_test(object_raw_file_direct SOURCES object_raw_file_direct.cpp
            LIBRARIES rideau_testkit rideau_real_runtime raw_file_static lmdb_static)
