# SPDX-License-Identifier: Apache-2.0
rideau_test(transport_tcp_suite SOURCES transport_tcp_suite.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static)
rideau_test(transport_tcp_malformed SOURCES transport_tcp_malformed.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static PkgConfig::ISAL)
rideau_test(transport_inproc_suite SOURCES transport_inproc_suite.cpp
            LIBRARIES rideau_testkit rideau_real_runtime inproc_static)
