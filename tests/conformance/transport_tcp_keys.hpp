// SPDX-License-Identifier: Apache-2.0
// KeyFolder: keys for transports/tcp in a temporary folder.
#pragma once

#include "plugins/tools/key_maker.hpp"
#include "tests/conformance/transport_factory.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace rideau {

class KeyFolder {
 public:
  using Texts = LinkedTransportFactory::Texts;

  KeyFolder() {
    char name[] = "/tmp/rideau-keys-XXXXXX";
    path_ = ::mkdtemp(name);
    authority = make_authority("authority");
  }
  KeyFolder(const KeyFolder&) = delete;
  KeyFolder& operator=(const KeyFolder&) = delete;
  ~KeyFolder() {
    for (const std::string& file : files_) ::unlink(file.c_str());
    ::rmdir(path_.c_str());
  }

  struct Authority {
    tools::KeyPair pair;
    std::string file;
  };

  Authority make_authority(const std::string& name) {
    Authority made;
    std::string why;
    const bool done = tools::make_authority(name, {::time(nullptr), 300}, &made.pair, &why);
    INFO(why);
    REQUIRE(done);
    made.file = write(name + ".pem", made.pair.certificate);
    return made;
  }
  // The configuration of a node with a certificate of `by`.
  Texts make(const std::string& name, const Authority& by, std::vector<std::string> addresses = {"127.0.0.1", "::1"},
             std::int64_t days = 200) {
    tools::KeyPair pair;
    std::string why;
    const bool done =
        tools::make_node_keys(by.pair, {name, std::move(addresses), {::time(nullptr), days}}, &pair, &why);
    INFO(why);
    REQUIRE(done);
    return {{"certificate", write(name + ".pem", pair.certificate)},
            {"key", write(name + ".key", pair.key)},
            {"authority", authority.file}};
  }
  Texts make(const std::string& name) { return make(name, authority); }
  std::string write(const std::string& name, const std::string& text) {
    files_.push_back(path_ + "/" + name);
    std::FILE* file = std::fopen(files_.back().c_str(), "w");
    REQUIRE(file != nullptr);
    std::fputs(text.c_str(), file);
    std::fclose(file);
    ::chmod(files_.back().c_str(), 0600);
    return files_.back();
  }

  Authority authority;

 private:
  std::string path_;
  std::vector<std::string> files_;
};

}  // namespace rideau
