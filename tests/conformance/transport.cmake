# SPDX-License-Identifier: Apache-2.0
rideau_test(transport_tcp_suite SOURCES transport_tcp_suite.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static)
rideau_test(transport_tcp_local SOURCES transport_tcp_local.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static)
rideau_test(transport_tcp_malformed SOURCES transport_tcp_malformed.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static PkgConfig::ISAL)
rideau_test(transport_tcp_tls_suite SOURCES transport_tcp_tls_suite.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static rideau_key_maker)
rideau_test(transport_tcp_tls SOURCES transport_tcp_tls.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static rideau_key_maker)
rideau_test(transport_tcp_tls_session SOURCES transport_tcp_tls_session.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static rideau_key_maker OpenSSL::SSL)
rideau_test(transport_tcp_faults LONG SOURCES transport_tcp_faults.cpp
            LIBRARIES rideau_testkit rideau_real_runtime tcp_static rideau_key_maker)
rideau_test(transport_inproc_suite SOURCES transport_inproc_suite.cpp
            LIBRARIES rideau_testkit rideau_real_runtime inproc_static)
# libfabric between the driver and its provider is a strict one.
rideau_test(transport_rdma_strict SOURCES transport_rdma_strict.cpp strict_fabric.cpp
            LIBRARIES rideau_testkit rideau_real_runtime rdma_static)
target_link_options(transport_rdma_strict PRIVATE -Wl,--wrap=fi_getinfo,--wrap=fi_fabric)
# Copies of the C library in one process are more than sanitizers understand.
if(NOT RIDEAU_SANITIZE)
  rideau_test(transport_rdma_shm SOURCES transport_rdma_shm.cpp
              LIBRARIES rideau_testkit rideau_real_runtime rdma_static ${CMAKE_DL_LIBS})
  target_compile_definitions(transport_rdma_shm PRIVATE RIDEAU_RDMA_PLUGIN="$<TARGET_FILE:rdma>")
  add_dependencies(transport_rdma_shm rdma)
endif()
rideau_test(transport_zmq_suite SOURCES transport_zmq_suite.cpp
            LIBRARIES rideau_testkit rideau_real_runtime zmq_static rideau_key_maker PkgConfig::ZMQ)

rideau_test(transport_zmq_strangers SOURCES transport_zmq_strangers.cpp
            LIBRARIES rideau_testkit rideau_real_runtime zmq_static PkgConfig::ZMQ)
rideau_test(transport_zmq_faults LONG SOURCES transport_zmq_faults.cpp
            LIBRARIES rideau_testkit rideau_real_runtime zmq_static PkgConfig::ZMQ)

# Mistakes that are made on purpose are found: in the transport of the examples.
rideau_test(transport_suite_bugs LONG SOURCES transport_suite_bugs.cpp
            ${CMAKE_SOURCE_DIR}/examples/minimal_transport/plugin.cpp
            ${CMAKE_SOURCE_DIR}/examples/minimal_transport/transport.cpp
            ${CMAKE_SOURCE_DIR}/examples/minimal_transport/link.cpp
            ${CMAKE_SOURCE_DIR}/examples/minimal_transport/sockets.cpp
            LIBRARIES rideau_testkit rideau_real_runtime)
target_compile_definitions(transport_suite_bugs PRIVATE RIDEAU_STATIC_PLUGIN)
# Its own reading is called by that of the test, which may lose some.
set_source_files_properties(${CMAKE_SOURCE_DIR}/examples/minimal_transport/sockets.cpp PROPERTIES
                            COMPILE_DEFINITIONS read_some=real_read_some)
