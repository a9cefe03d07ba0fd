// SPDX-License-Identifier: Apache-2.0
// Makes and reads the keys that encrypt links: an authority and certificates of nodes for TLS (transports/tcp), CURVE
// pairs for ZeroMQ. Texts in, texts out; files are somebody else's. The library is OpenSSL.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rideau::tools {

// In PEM.
struct KeyPair {
  std::string certificate;
  std::string key;  // secret
};

struct Lifetime {
  std::int64_t now_s = 0;  // since 1970
  std::int64_t days = 0;   // from now on; negative: it ended then
};

struct NodeKeyWish {
  std::string name;  // of the node, or of the machine: for people
  std::vector<std::string>
      addresses;  // names and numbers by which others reach it; none: for a client, which nobody connects to
  Lifetime lifetime;
};

// False: *why says what failed.
bool make_authority(const std::string& name, const Lifetime& lifetime, KeyPair* out, std::string* why);
// A certificate that ends with its authority at the latest.
bool make_node_keys(const KeyPair& authority, const NodeKeyWish& wish, KeyPair* out, std::string* why);

struct CertificateFacts {
  std::string name;
  std::string issuer;  // name of who made it
  bool is_authority = false;
  std::vector<std::string> addresses;
  std::int64_t ends_s = 0;  // since 1970
  std::string end_date;     // "2027-03-01"
  // SHA-256 of the certificate, 64 hexadecimal digits in groups of four, as people read it to each other.
  std::string fingerprint;
};
// The first certificate in a text.
bool read_certificate(const std::string& pem, CertificateFacts* out, std::string* why);
// Whether the one was made by the other.
bool is_made_by(const std::string& certificate_pem, const std::string& authority_pem);

// A pair for CURVE as zmq_curve_keypair(3) makes it: 40 characters each, in Z85 (ZeroMQ RFC 32).
struct CurvePair {
  std::string secret;
  std::string open;  // the public half
};
bool make_curve_pair(CurvePair* out, std::string* why);
// The public half of a secret key; empty when that is none.
std::string curve_public(const std::string& secret);

}  // namespace rideau::tools
