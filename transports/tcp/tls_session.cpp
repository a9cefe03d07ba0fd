// SPDX-License-Identifier: Apache-2.0
#include "tls_session.hpp"

#include "tls_keys.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace rideau::tcp {
namespace {

constexpr std::size_t kPlainBytes = SSL3_RT_MAX_PLAIN_LENGTH;  // of one record
// What one write may add: a record, and one that announces new keys.
constexpr std::size_t kRecordRoom = kPlainBytes + 2 * SSL3_RT_MAX_ENCRYPTED_OVERHEAD;
constexpr std::size_t kOutBytes = 4 * kRecordRoom;
// AES-GCM is good for 2^24.5 records with one key (RFC 8446, 5.5), and OpenSSL does not count them.
constexpr std::uint64_t kRecordsPerKey = std::uint64_t{1} << 22;

constexpr std::uint8_t kPlainMagic[4] = {'1', 'R', 'D', 'T'};  // frame.hpp
// A fatal alert, protocol_version (RFC 8446, 6): what a peer without TLS understands of TLS.
constexpr std::uint8_t kAlert[] = {21, 3, 3, 0, 2, 2, 70};

struct Reason {
  int number;
  const char* text;
};

constexpr const char* kOtherAuthority =
    "the certificate of the peer is of another authority: all nodes of a cluster need keys of one";

// By what the certificate of the peer fails here.
constexpr Reason kJudgements[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "the certificate of the peer has expired: it needs a new one (`rideau keys node`)"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "the certificate of the peer is not valid yet: compare the clocks"},
    {X509_V_ERR_HOSTNAME_MISMATCH,
     "the certificate of the peer is not for its address: it needs one that names it (`rideau keys node --address`)"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH,
     "the certificate of the peer is not for its address: it needs one that names it (`rideau keys node --address`)"},
    {X509_V_ERR_INVALID_PURPOSE, "the certificate of the peer is not made for its side of a link, such as a client's"},
};

// By what this node's certificate fails at the peer (alerts of RFC 8446, 6.2).
constexpr Reason kAlerts[] = {
    {SSL_AD_CERTIFICATE_EXPIRED, "the peer says that the certificate of this node has expired"},
    {SSL_AD_UNKNOWN_CA, "the peer says that the certificate of this node is of another authority"},
    {SSL_AD_BAD_CERTIFICATE, "the peer refuses the certificate of this node: it may be for another address"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "the peer refuses the certificate of this node: it is a client's"},
    {SSL_AD_CERTIFICATE_REQUIRED, "the peer wants a certificate of this node"},
    {SSL_AD_PROTOCOL_VERSION, "the peer does not speak TLS 1.3"},
};

constexpr Reason kOwn[] = {
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
     "the peer shows no certificate: it needs certificate, key and authority in its configuration"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the peer does not speak TLS 1.3"},
};

constexpr const char* kPlainPeer =
    "the peer speaks tcp without TLS: certificate, key and authority are needed on both sides, or on none";
constexpr const char* kNoTls = "what the peer sends is no TLS 1.3";
constexpr const char* kRefused = "the peer refuses the handshake of TLS";
constexpr const char* kEnded = "the peer closed the connection in the handshake of TLS: its log may say why";

template <std::size_t kCount>
const char* find(const Reason (&table)[kCount], int number, const char* otherwise) noexcept {
  const auto* found =
      std::find_if(std::begin(table), std::end(table), [number](const Reason& one) { return one.number == number; });
  return found != std::end(table) ? found->text : otherwise;
}

bool is_address(const std::string& host) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
  ASN1_OCTET_STRING_free(address);
  return address != nullptr;
}

bool expect_host(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* rules = SSL_get0_param(ssl);
  if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str()) == 1;
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return X509_VERIFY_PARAM_set1_host(rules, host.c_str(), host.size()) == 1;
}

}  // namespace

// The socket as OpenSSL sees it.
struct TlsSocket {
  static int read(BIO* bio, char* to, int size) noexcept {
    auto* session = static_cast<TlsSession*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const IoVec part{to, static_cast<std::size_t>(size)};
    const IoResult result = read_parts(session->fd_, &part, 1);
    ++session->system_calls_;
    if (result.error == EAGAIN) BIO_set_retry_read(bio);
    if (result.error != 0) {
      if (result.error != EAGAIN) session->socket_error_ = result.error;
      return -1;
    }
    if (result.bytes == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    for (std::size_t i = 0; i < result.bytes && session->first_count_ < sizeof session->first_; ++i) {
      session->first_[session->first_count_++] = static_cast<std::uint8_t>(to[i]);
    }
    return static_cast<int>(result.bytes);
  }
  static int write(BIO* bio, const char* from, int size) noexcept {
    auto* session = static_cast<TlsSession*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const std::size_t taken = std::min(static_cast<std::size_t>(size), kOutBytes - session->out_end_);
    if (session->out_ == nullptr) session->out_.reset(new (std::nothrow) std::uint8_t[kOutBytes]);
    if (session->out_ == nullptr) {
      session->socket_error_ = ENOMEM;
      return -1;
    }
    if (taken == 0) {
      BIO_set_retry_write(bio);
      return -1;
    }
    std::memcpy(session->out_.get() + session->out_end_, from, taken);
    session->out_end_ += taken;
    return static_cast<int>(taken);
  }
  static long control(BIO* bio, int what, long, void*) noexcept {
    if (what == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    return what == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static BIO_METHOD* make() noexcept {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rideau tcp");
    if (method == nullptr) return nullptr;
    BIO_meth_set_read(method, &read);
    BIO_meth_set_write(method, &write);
    BIO_meth_set_ctrl(method, &control);
    return method;
  }
  // Of all sessions, as long as the process lives.
  static const BIO_METHOD* method() noexcept {
    static BIO_METHOD* const made = make();
    return made;
  }
};

std::unique_ptr<TlsSession> TlsSession::make(const TlsKeys& keys, int fd, Side side, const std::string& host) {
  ERR_clear_error();
  std::unique_ptr<TlsSession> session(new TlsSession(fd, side));
  session->ssl_ = SSL_new(keys.context());
  BIO* bio = TlsSocket::method() != nullptr ? BIO_new(TlsSocket::method()) : nullptr;
  if (session->ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, session.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(session->ssl_, bio, bio);
  if (side == Side::accepts) {
    SSL_set_accept_state(session->ssl_);
  } else {
    SSL_set_connect_state(session->ssl_);
    if (!host.empty() && !expect_host(session->ssl_, host)) return nullptr;
  }
  return session;
}

TlsSession::TlsSession(int fd, Side side) noexcept : fd_(fd), side_(side), records_per_key_(kRecordsPerKey) {}

TlsSession::~TlsSession() { SSL_free(ssl_); }

TlsSession::Step TlsSession::handshake() noexcept {
  if (failed_) return Step::failed;
  if (flush() == EAGAIN) return Step::writes;
  if (!shaken_) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result != 1) return fail_or_wait(result);
    shaken_ = true;
    if (flush() == EAGAIN) return Step::writes;
  }
  return side_ == Side::connects ? confirm() : Step::done;
}

// In TLS 1.3 who connects is done first, and hears afterwards what the other side thinks of its certificate. The first
// bytes of that side, which are its greeting, say that it is content.
TlsSession::Step TlsSession::confirm() noexcept {
  std::uint8_t byte = 0;
  std::size_t got = 0;
  ERR_clear_error();
  const int result = SSL_peek_ex(ssl_, &byte, 1, &got);
  return result == 1 ? Step::done : fail_or_wait(result);
}

TlsSession::Step TlsSession::fail_or_wait(int result) noexcept {
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    const int flushed = flush();
    if (flushed == 0) return error == SSL_ERROR_WANT_READ ? Step::reads : Step::writes;
    if (flushed == EAGAIN) return Step::writes;
  }
  explain(error == SSL_ERROR_ZERO_RETURN);
  static_cast<void>(flush());  // the alert that tells the peer why
  answer_plain_peer();
  return Step::failed;
}

// From what OpenSSL knows to what somebody can do about it.
void TlsSession::explain(bool ended) noexcept {
  failed_ = true;
  const unsigned long error = ERR_peek_last_error();
  const int number = ERR_GET_REASON(error);
  const char* words = ERR_reason_error_string(error);
  const bool plain = first_count_ == sizeof first_ && std::memcmp(first_, kPlainMagic, sizeof first_) == 0;
  const long verdict = SSL_get_verify_result(ssl_);
  const char* text = kNoTls;
  if (plain) {
    text = kPlainPeer;
    words = nullptr;
  } else if (socket_error_ != 0 || ended) {
    failure_ = {Code::closed, socket_error_, shaken_ && side_ == Side::accepts ? "the peer closed the link" : kEnded};
    failure_text_ = failure_.where;
    return;
  } else if (number == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    text = find(kJudgements, static_cast<int>(verdict), kOtherAuthority);
    words = X509_verify_cert_error_string(verdict);
  } else if (number > SSL_AD_REASON_OFFSET) {
    text = find(kAlerts, number - SSL_AD_REASON_OFFSET, kRefused);
  } else {
    text = find(kOwn, number, kNoTls);
  }
  failure_ = {shaken_ && text == kNoTls ? Code::corrupt : Code::refused, 0, text};
  failure_text_ = text;
  if (words != nullptr) failure_text_ += std::string(" (") + words + ")";
}

void TlsSession::answer_plain_peer() noexcept {
  if (side_ != Side::accepts || failure_.where != kPlainPeer) return;
  const IoVec part{const_cast<std::uint8_t*>(kAlert), sizeof kAlert};
  static_cast<void>(write_parts(fd_, &part, 1));
}

IoResult TlsSession::read(const IoVec* parts, std::uint32_t count) noexcept {
  if (failed_) return {0, EPROTO};
  std::size_t total = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto* to = static_cast<std::uint8_t*>(parts[i].base);
    for (std::size_t filled = 0; filled < parts[i].size;) {
      std::size_t got = 0;
      ERR_clear_error();
      const int result = SSL_read_ex(ssl_, to + filled, parts[i].size - filled, &got);
      filled += got;
      total += got;
      if (result == 1) continue;
      const int error = SSL_get_error(ssl_, result);
      unread_ = false;
      // What it took before an end or a failure is given out first; the next call tells the rest.
      if (error == SSL_ERROR_WANT_READ) return {total, total > 0 ? 0 : EAGAIN};
      if (total > 0) {
        unread_ = true;
        return {total, 0};
      }
      if (error == SSL_ERROR_ZERO_RETURN) return {0, 0};
      if (error == SSL_ERROR_SYSCALL && socket_error_ != 0) return {0, socket_error_};
      explain(false);
      static_cast<void>(flush());
      return {0, EPROTO};
    }
  }
  unread_ = true;
  return {total, 0};
}

IoResult TlsSession::write(const IoVec* parts, std::uint32_t count) noexcept {
  if (failed_) return {0, EPIPE};
  std::uint8_t together[kPlainBytes];
  std::size_t taken = 0;
  std::size_t offset = 0;  // in parts[i]
  for (std::uint32_t i = 0; i < count;) {
    if (offset == parts[i].size) {
      ++i;
      offset = 0;
      continue;
    }
    if (!make_room()) break;
    const auto* from = static_cast<const std::uint8_t*>(parts[i].base) + offset;
    std::size_t size = std::min(parts[i].size - offset, kPlainBytes);
    if (size == kPlainBytes || i + 1 == count) {
      offset += size;
    } else {
      // Small parts share a record.
      size = 0;
      while (i < count && size < kPlainBytes) {
        const std::size_t take = std::min(parts[i].size - offset, kPlainBytes - size);
        std::memcpy(together + size, static_cast<const std::uint8_t*>(parts[i].base) + offset, take);
        size += take;
        offset += take;
        if (offset < parts[i].size) break;
        ++i;
        offset = 0;
      }
      from = together;
    }
    if (!encrypt(from, size)) return {taken, EPIPE};
    taken += size;
  }
  const int error = flush();
  if (error == EAGAIN) return {taken, taken > 0 ? 0 : EAGAIN};
  return {taken, error};
}

bool TlsSession::encrypt(const void* bytes, std::size_t size) noexcept {
  if (++records_ >= records_per_key_) {
    records_ = 0;
    SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED);
  }
  std::size_t written = 0;
  ERR_clear_error();
  if (SSL_write_ex(ssl_, bytes, size, &written) == 1 && written == size) return true;
  explain(false);
  return false;
}

// For one record more. False: the socket takes no more.
bool TlsSession::make_room() noexcept {
  if (out_end_ + kRecordRoom <= kOutBytes) return true;
  if (flush() != 0 && out_begin_ > 0) {
    std::memmove(out_.get(), out_.get() + out_begin_, out_end_ - out_begin_);
    out_end_ -= std::exchange(out_begin_, 0);
  }
  return out_end_ + kRecordRoom <= kOutBytes;
}

// 0: all is sent; EAGAIN: the socket is full.
int TlsSession::flush() noexcept {
  while (out_begin_ < out_end_) {
    const IoVec part{out_.get() + out_begin_, out_end_ - out_begin_};
    const IoResult result = write_parts(fd_, &part, 1);
    ++system_calls_;
    if (result.error != 0) {
      if (result.error != EAGAIN) socket_error_ = result.error;
      return result.error;
    }
    out_begin_ += result.bytes;
  }
  out_begin_ = out_end_ = 0;
  out_.reset();  // a link that waits keeps no memory
  return 0;
}

void TlsSession::say_goodbye() noexcept {
  if (!shaken_ || failed_ || socket_error_ != 0) return;
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(ssl_));
  static_cast<void>(flush());
}

std::string TlsSession::peer_name() const {
  char name[64] = "";
  const X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  std::string text = name;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

std::uint64_t TlsSession::take_system_calls() noexcept { return std::exchange(system_calls_, 0); }

bool begins_tls(const std::uint8_t* bytes, std::size_t size) noexcept {
  // A record of a handshake or an alert, of version 3.x (RFC 8446, 5.1).
  return size >= 2 && (bytes[0] == 21 || bytes[0] == 22) && bytes[1] == 3;
}

}  // namespace rideau::tcp
