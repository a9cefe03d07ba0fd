// SPDX-License-Identifier: Apache-2.0
// What tests of transports/zmq share: CURVE keys in files, a stage, and a relay between sockets of this machine.
#pragma once

#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/transport_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_factory.hpp"
#include "transports/zmq/descriptor.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

namespace rideau {

// A folder with key files.
class CurveFolder {
 public:
  CurveFolder() {
    char name[] = "/tmp/rideau-keys-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  CurveFolder(const CurveFolder&) = delete;
  CurveFolder& operator=(const CurveFolder&) = delete;
  ~CurveFolder() {
    for (const std::string& file : files_) ::unlink(file.c_str());
    ::rmdir(path_.c_str());
  }
  std::string make(const std::string& name, std::string* public_key = nullptr) {
    char open_half[41];
    char secret[41];
    REQUIRE(zmq_curve_keypair(open_half, secret) == 0);
    files_.push_back(path_ + "/" + name);
    std::FILE* file = std::fopen(files_.back().c_str(), "w");
    std::fprintf(file, "%s\n", secret);
    std::fclose(file);
    ::chmod(files_.back().c_str(), 0600);
    if (public_key != nullptr) *public_key = open_half;
    return files_.back();
  }

 private:
  std::string path_;
  std::vector<std::string> files_;
};

template <class Test>
void on_zmq_stage(const LinkedTransportFactory::Texts& texts, const Test& test) {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, {}, "127.0.0.1:0", texts);
  Report report;
  report.rule("strangers");
  transport_suite::Stage stage(runtime, factory, report, 5);
  runtime.run(test(stage, host));
  report.finish();
  if (report.exit_status() != 0) report.print(stdout);
  CHECK(report.exit_status() == 0);
}

}  // namespace rideau
