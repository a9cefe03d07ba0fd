// SPDX-License-Identifier: Apache-2.0
// The keys of this node for TLS: its certificate, the secret key of that, and the authority whose certificates peers
// have to show. Read once, when the instance is made.
#pragma once

#include "rideau/status.hpp"

#include <memory>
#include <string>

using SSL_CTX = struct ssl_ctx_st;

namespace rideau::tcp {

// Files in PEM. All of them, or none: then nothing is encrypted.
struct TlsFiles {
  std::string certificate;  // of this node, then those between it and the authority, if any
  std::string key;          // that only the node's user may read
  std::string authority;    // one or more certificates

  bool none() const noexcept { return certificate.empty() && key.empty() && authority.empty(); }
};

class TlsKeys {
 public:
  // Null when they cannot be used; *problem says why and what to do.
  static std::unique_ptr<TlsKeys> read(const TlsFiles& files, std::string* problem);
  ~TlsKeys();
  TlsKeys(const TlsKeys&) = delete;
  TlsKeys& operator=(const TlsKeys&) = delete;

  SSL_CTX* context() const noexcept { return context_; }
  // When the certificate ends: seconds from now, and a date for people.
  long seconds_left() const noexcept { return seconds_left_; }
  const std::string& end_date() const noexcept { return end_date_; }

 private:
  TlsKeys() = default;
  bool prepare(std::string* problem);
  bool load(const TlsFiles& files, std::string* problem);
  bool judge(const TlsFiles& files, std::string* problem);

  SSL_CTX* context_ = nullptr;
  long seconds_left_ = 0;
  std::string end_date_;
};

}  // namespace rideau::tcp
