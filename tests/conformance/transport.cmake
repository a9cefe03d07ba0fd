# SPDX-License-Identifier: Apache-2.0
rideau_test(transport_tcp_suite SOURCES transport_tcp_suite.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static)
rideau_test(transport_tcp_malformed SOURCES transport_tcp_malformed.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static PkgConfig::ISAL)

# Through the program, as an author of a plugin runs it.
add_test(NAME conformance_tcp COMMAND rideau-conformance $<TARGET_FILE:tcp> --seed 7)
set_tests_properties(conformance_tcp PROPERTIES TIMEOUT 300)
