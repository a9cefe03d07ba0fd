// SPDX-License-Identifier: Apache-2.0
#include "tls_keys.hpp"

#include "socket.hpp"

#include <cstring>
#include <ctime>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

namespace rideau::tcp {
namespace {

constexpr long kSecondsOfDay = 86'400;
constexpr int kChainMax = 4;                   // certificates between a peer's and the authority
constexpr std::size_t kChainBytes = 32 << 10;  // of what a peer shows
constexpr std::size_t kReadBytes = 64 << 10;   // that OpenSSL reads from a socket at a time

// What OpenSSL says of the newest failure.
std::string reason() {
  const unsigned long error = ERR_peek_last_error();
  const char* text = ERR_reason_error_string(error);
  return text != nullptr ? text : "unknown error";
}

std::string date_of(const ASN1_TIME* time) {
  tm parts{};
  char text[32] = "?";
  if (ASN1_TIME_to_tm(time, &parts) == 1) strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

}  // namespace

std::unique_ptr<TlsKeys> TlsKeys::read(const TlsFiles& files, std::string* problem) {
  if (files.certificate.empty() || files.key.empty() || files.authority.empty()) {
    *problem = "certificate, key and authority are needed together: `rideau keys --help` tells how to make them";
    return nullptr;
  }
  ERR_clear_error();
  std::unique_ptr<TlsKeys> keys(new TlsKeys);
  if (!keys->prepare(problem) || !keys->load(files, problem) || !keys->judge(files, problem)) return nullptr;
  return keys;
}

TlsKeys::~TlsKeys() { SSL_CTX_free(context_); }

// One context for both directions: what differs is said of each session.
bool TlsKeys::prepare(std::string* problem) {
  context_ = SSL_CTX_new(TLS_method());
  if (context_ == nullptr || SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context_, TLS1_3_VERSION) != 1) {
    *problem = "OpenSSL does not do TLS 1.3 here: " + reason();
    return false;
  }
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(context_, kChainMax);
  SSL_CTX_set_max_cert_list(context_, kChainBytes);
  // Each link shows its keys: nothing of a session is kept for another one.
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context_, 0);
  // A link that ends is a lost link, however politely: frames tell their length, so nothing can be cut unnoticed.
  SSL_CTX_set_options(context_, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
  SSL_CTX_set_read_ahead(context_, 1);
  SSL_CTX_set_default_read_buffer_len(context_, kReadBytes);
  return true;
}

bool TlsKeys::load(const TlsFiles& files, std::string* problem) {
  for (const std::string& file : {files.certificate, files.key, files.authority}) {
    if (const int error = look_at_file(file.c_str(), file == files.key); error != 0) {
      *problem = error < 0 ? file + " can be read by others: chmod 600 it" : file + ": " + std::strerror(error);
      return false;
    }
  }
  if (SSL_CTX_use_certificate_chain_file(context_, files.certificate.c_str()) != 1) {
    *problem = files.certificate + ": no certificate: " + reason();
    return false;
  }
  if (SSL_CTX_use_PrivateKey_file(context_, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const bool mismatch = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
    *problem = mismatch ? files.key + " is not the key of " + files.certificate : files.key + ": no key: " + reason();
    return false;
  }
  if (SSL_CTX_load_verify_file(context_, files.authority.c_str()) != 1) {
    *problem = files.authority + ": no certificate of an authority: " + reason();
    return false;
  }
  return true;
}

// What every peer would refuse is told here, where somebody reads it.
bool TlsKeys::judge(const TlsFiles& files, std::string* problem) {
  X509* own = SSL_CTX_get0_certificate(context_);
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(own)) != 1) {
    *problem = files.certificate + ": no date at which it ends";
    return false;
  }
  seconds_left_ = days * kSecondsOfDay + seconds;
  end_date_ = date_of(X509_get0_notAfter(own));
  if (seconds_left_ <= 0) {
    *problem = files.certificate + " expired at " + end_date_ + ": make a new one with `rideau keys node`";
    return false;
  }
  STACK_OF(X509)* between = nullptr;
  SSL_CTX_get_extra_chain_certs_only(context_, &between);
  X509_STORE_CTX* check = X509_STORE_CTX_new();
  const bool ready =
      check != nullptr && X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(context_), own, between) == 1;
  const bool good = ready && X509_verify_cert(check) == 1;
  if (!good) {
    const int error = ready ? X509_STORE_CTX_get_error(check) : X509_V_ERR_OUT_OF_MEM;
    *problem = files.certificate + " was not made by the authority in " + files.authority + ": " +
               X509_verify_cert_error_string(error);
  }
  X509_STORE_CTX_free(check);
  return good;
}

}  // namespace rideau::tcp
