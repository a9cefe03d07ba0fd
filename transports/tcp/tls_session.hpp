// SPDX-License-Identifier: Apache-2.0
// TLS on one socket: what OpenSSL does with bytes, and no more. It waits for nothing; who has it waits for the socket.
// What OpenSSL wants to send is gathered here and leaves in few system calls; it never takes more than fits.
#pragma once

#include "rideau/buffer.hpp"
#include "socket.hpp"

#include <cstdint>
#include <memory>
#include <string>

using BIO = struct bio_st;
using SSL = struct ssl_st;

namespace rideau::tcp {

class TlsKeys;

class TlsSession {
 public:
  enum class Side : std::uint8_t { connects, accepts };
  enum class Step : std::uint8_t { done, reads, writes, failed };  // reads, writes: what to wait for

  // `host`: whom the certificate of the peer has to name, a name or an address; empty: anybody of the authority. Null
  // when there is no memory. The descriptor stays the caller's, open as long as this is used.
  static std::unique_ptr<TlsSession> make(const TlsKeys& keys, int fd, Side side, const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // The next step of the handshake. Who connects has done it when the peer has said something: it judges this side's
  // certificate after this side has judged its own.
  Step handshake() noexcept;

  // As read_parts and write_parts. An error EPROTO: failure() tells more. What write took is not all sent yet while
  // unsent(): write again, with no parts, when the socket takes more.
  IoResult read(const IoVec* parts, std::uint32_t count) noexcept;
  IoResult write(const IoVec* parts, std::uint32_t count) noexcept;
  bool unsent() const noexcept { return out_begin_ < out_end_; }
  // Bytes may have been read from the socket already: do not wait for it before the next read.
  bool unread() const noexcept { return unread_; }
  // Tells the peer that this is the end, as far as the socket takes it.
  void say_goodbye() noexcept;

  // Why it failed: a status with what to do, and more words for the log.
  Status failure() const noexcept { return failure_; }
  const std::string& failure_text() const noexcept { return failure_text_; }
  // The name in the certificate of the peer, for people.
  std::string peer_name() const;
  std::uint64_t take_system_calls() noexcept;
  // New keys after so many records that were written, 16 KiB each at most.
  void renew_keys_after(std::uint64_t records) noexcept { records_per_key_ = records; }

 private:
  friend struct TlsSocket;
  TlsSession(int fd, Side side) noexcept;

  Step fail_or_wait(int result) noexcept;
  void explain(bool ended) noexcept;
  Step confirm() noexcept;
  bool make_room() noexcept;
  int flush() noexcept;
  bool encrypt(const void* bytes, std::size_t size) noexcept;
  void answer_plain_peer() noexcept;

  const int fd_;
  const Side side_;
  SSL* ssl_ = nullptr;
  bool shaken_ = false;
  bool unread_ = true;
  bool failed_ = false;
  int socket_error_ = 0;
  std::uint8_t first_[4] = {};  // bytes that came
  std::uint8_t first_count_ = 0;
  std::uint64_t records_ = 0;  // written with one key
  std::uint64_t records_per_key_;
  std::uint64_t system_calls_ = 0;
  std::unique_ptr<std::uint8_t[]> out_;
  std::size_t out_begin_ = 0;
  std::size_t out_end_ = 0;
  Status failure_{};
  std::string failure_text_;
};

// Whether these first bytes of a stream begin TLS.
bool begins_tls(const std::uint8_t* bytes, std::size_t size) noexcept;

}  // namespace rideau::tcp
