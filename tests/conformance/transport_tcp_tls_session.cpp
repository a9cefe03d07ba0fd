// SPDX-License-Identifier: Apache-2.0
// Goal: TLS on one socket, against OpenSSL used directly: whom a session accepts, what it says of whom it refuses, that
// bytes come as they went in whatever pieces, with new keys in between, and that damaged bytes are no bytes.
#include "sdk/testkit/dice.hpp"
#include "tests/conformance/transport_tcp_keys.hpp"
#include "transports/tcp/tls_keys.hpp"
#include "transports/tcp/tls_session.hpp"

#include <cerrno>
#include <cstring>
#include <functional>

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

namespace rideau {
namespace {

using tcp::IoResult;
using tcp::TlsFiles;
using tcp::TlsKeys;
using tcp::TlsSession;
using Side = TlsSession::Side;
using Step = TlsSession::Step;
using Texts = KeyFolder::Texts;

std::unique_ptr<TlsKeys> keys_of(const Texts& texts) {
  std::string problem;
  std::unique_ptr<TlsKeys> keys =
      TlsKeys::read({texts.at("certificate"), texts.at("key"), texts.at("authority")}, &problem);
  INFO(problem);
  REQUIRE(keys != nullptr);
  return keys;
}

std::string problem_of(const TlsFiles& files) {
  std::string problem;
  CHECK(TlsKeys::read(files, &problem) == nullptr);
  return problem;
}

struct Sockets {
  Sockets() {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    const int small = 4096;  // so that writes block
    for (const int fd : fds) ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
  ~Sockets() {
    for (const int fd : fds) ::close(fd);
  }
  int fds[2];
};

// The other side, with whatever it likes to show; it accepts everybody.
class Raw {
 public:
  Raw(int fd, Side side, const std::string& certificate, const std::string& key)
      : context_(SSL_CTX_new(TLS_method())), side_(side) {
    if (!certificate.empty()) {
      REQUIRE(SSL_CTX_use_certificate_chain_file(context_, certificate.c_str()) == 1);
      REQUIRE(SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) == 1);
    }
    if (side == Side::accepts) SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
    ssl = SSL_new(context_);
    SSL_set_fd(ssl, fd);
    side == Side::accepts ? SSL_set_accept_state(ssl) : SSL_set_connect_state(ssl);
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  ~Raw() {
    SSL_free(ssl);
    SSL_CTX_free(context_);
  }
  void only_version_1_2() { REQUIRE(SSL_set_max_proto_version(ssl, TLS1_2_VERSION) == 1); }
  // One step; the alert that it got is kept.
  void step() {
    ERR_clear_error();
    if (!done && SSL_do_handshake(ssl) == 1) {
      done = true;
      if (side_ == Side::accepts) CHECK(SSL_write(ssl, "x", 1) == 1);
    }
    char byte = 0;
    if (done) static_cast<void>(SSL_peek(ssl, &byte, 1));
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (reason > SSL_AD_REASON_OFFSET) alert = reason - SSL_AD_REASON_OFFSET;
  }

  SSL* ssl;
  bool done = false;
  int alert = 0;

 private:
  SSL_CTX* context_;
  const Side side_;
};

Step shake(TlsSession& session, Raw& raw) {
  Step step = Step::reads;
  for (int i = 0; i < 100 && step != Step::done && step != Step::failed; ++i) {
    step = session.handshake();
    raw.step();
  }
  for (int i = 0; i < 10; ++i) raw.step();
  return step;
}

// How a session with these keys, on that side, takes a stranger; what is told of it and the alert that the stranger
// gets.
struct Meeting {
  Step step = Step::failed;
  std::string told;
  Status status{};
  int alert = 0;
};
Meeting meet(const TlsKeys& keys, Side side, const std::string& certificate, const std::string& key,
             const std::string& host = "127.0.0.1", const std::function<void(Raw&)>& change = nullptr) {
  Sockets sockets;
  const auto session = TlsSession::make(keys, sockets.fds[0], side, side == Side::connects ? host : "");
  Raw raw(sockets.fds[1], side == Side::accepts ? Side::connects : Side::accepts, certificate, key);
  if (change) change(raw);
  Meeting meeting;
  meeting.step = shake(*session, raw);
  meeting.told = session->failure_text();
  meeting.status = session->failure();
  meeting.alert = raw.alert;
  return meeting;
}

void refuses(const Meeting& meeting, const char* told, int alert) {
  INFO(meeting.told);
  CHECK(meeting.step == Step::failed);
  CHECK(meeting.status.code == Code::refused);
  CHECK(meeting.told.find(told) != std::string::npos);
  CHECK(meeting.alert == alert);
}

// Two sessions that trust each other.
struct Two {
  explicit Two(KeyFolder& folder) : keys(keys_of(folder.make("two"))) {
    connects = TlsSession::make(*keys, sockets.fds[0], Side::connects, "127.0.0.1");
    accepts = TlsSession::make(*keys, sockets.fds[1], Side::accepts, "");
    Step one = Step::reads;
    for (int i = 0; i < 100 && one != Step::done; ++i) {
      one = connects->handshake();
      const std::uint8_t greeting = 'g';
      const IoVec part{const_cast<std::uint8_t*>(&greeting), 1};
      if (accepts->handshake() == Step::done && !greeted) greeted = accepts->write(&part, 1).bytes == 1;
    }
    REQUIRE(one == Step::done);
    std::uint8_t greeting = 0;
    const IoVec part{&greeting, 1};
    REQUIRE(connects->read(&part, 1).bytes == 1);
    CHECK(greeting == 'g');
  }
  Sockets sockets;
  std::unique_ptr<TlsKeys> keys;
  std::unique_ptr<TlsSession> connects;
  std::unique_ptr<TlsSession> accepts;
  bool greeted = false;
};

using Buffer = std::vector<std::uint8_t>;

Buffer random_bytes(Dice& dice, std::size_t size) {
  Buffer bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(dice.below(256));
  return bytes;
}

// The rest of some bytes as parts of random sizes, empty ones among them.
std::vector<IoVec> parts_of(Buffer& bytes, std::size_t from, Dice& dice) {
  std::vector<IoVec> parts;
  while (from < bytes.size() && parts.size() < 200) {
    const std::size_t most = dice.below(4) == 0 ? 60'000 : 300;
    const std::size_t size = std::min<std::size_t>(dice.below(most), bytes.size() - from);
    parts.push_back({bytes.data() + from, size});
    from += size;
  }
  return parts;
}

void transfer(TlsSession& from, TlsSession& to, Buffer sent, Dice& dice) {
  Buffer got(sent.size());
  std::size_t written = 0;
  std::size_t read = 0;
  for (int turn = 0; read < sent.size(); ++turn) {
    REQUIRE(turn < 1'000'000);
    const std::vector<IoVec> out = parts_of(sent, written, dice);
    const IoResult wrote = from.write(out.data(), static_cast<std::uint32_t>(out.size()));
    REQUIRE((wrote.error == 0 || wrote.error == EAGAIN));
    written += wrote.bytes;
    const std::vector<IoVec> in = parts_of(got, read, dice);
    const IoResult took = to.read(in.data(), static_cast<std::uint32_t>(in.size()));
    REQUIRE((took.error == 0 || took.error == EAGAIN));
    read += took.bytes;
  }
  CHECK(got == sent);
  CHECK(!from.unsent());
}

}  // namespace

TEST_CASE("peers of the authority meet, and are named") {
  KeyFolder folder;
  const auto keys = keys_of(folder.make("mine"));
  const Texts other = folder.make("theirs");
  CHECK(meet(*keys, Side::accepts, other.at("certificate"), other.at("key")).step == Step::done);
  CHECK(meet(*keys, Side::connects, other.at("certificate"), other.at("key")).step == Step::done);
  const Texts named = folder.make("named", folder.authority, {"oss0.example", "*.rack.example"});
  const auto reach = [&](const char* host) {
    return meet(*keys, Side::connects, named.at("certificate"), named.at("key"), host);
  };
  CHECK(reach("oss0.example").step == Step::done);
  CHECK(reach("OSS0.example").step == Step::done);
  CHECK(reach("a.rack.example").step == Step::done);
  CHECK(reach("a.b.rack.example").step == Step::failed);
  CHECK(reach("example").step == Step::failed);
  CHECK(Two(folder).connects->peer_name() == "two");
}

TEST_CASE("who must not be let in is refused, and both sides hear why") {
  KeyFolder folder;
  const KeyFolder::Authority foreign = folder.make_authority("foreign");
  const auto keys = keys_of(folder.make("mine"));
  for (const Side side : {Side::accepts, Side::connects}) {
    const auto show = [&](const Texts& texts) { return meet(*keys, side, texts.at("certificate"), texts.at("key")); };
    refuses(show(folder.make("stranger", foreign)), "another authority", SSL_AD_UNKNOWN_CA);
    refuses(show(folder.make("late", folder.authority, {"127.0.0.1"}, -1)), "has expired", SSL_AD_CERTIFICATE_EXPIRED);
    // What an authority may show as its own certificate proves nothing.
    const std::string key = folder.write("authority.key", folder.authority.pair.key);
    const Meeting itself = meet(*keys, side, folder.authority.file, key);
    CHECK(itself.step == Step::failed);
  }
  refuses(meet(*keys, Side::accepts, "", ""), "shows no certificate", SSL_AD_CERTIFICATE_REQUIRED);
  const Texts elsewhere = folder.make("elsewhere", folder.authority, {"10.9.8.7", "127.0.0.2"});
  refuses(meet(*keys, Side::connects, elsewhere.at("certificate"), elsewhere.at("key")), "not for its address",
          SSL_AD_BAD_CERTIFICATE);
  const Texts client = folder.make("client", folder.authority, {});
  refuses(meet(*keys, Side::connects, client.at("certificate"), client.at("key")), "such as a client's",
          SSL_AD_UNSUPPORTED_CERTIFICATE);
  CHECK(meet(*keys, Side::accepts, client.at("certificate"), client.at("key")).step == Step::done);
}

TEST_CASE("versions before TLS 1.3 are refused") {
  KeyFolder folder;
  const auto keys = keys_of(folder.make("mine"));
  const Texts other = folder.make("theirs");
  const auto old = [](Raw& raw) { raw.only_version_1_2(); };
  refuses(meet(*keys, Side::accepts, other.at("certificate"), other.at("key"), "", old), "TLS 1.3",
          SSL_AD_PROTOCOL_VERSION);
  refuses(meet(*keys, Side::connects, other.at("certificate"), other.at("key"), "127.0.0.1", old), "TLS 1.3", 0);
}

TEST_CASE("bytes come as they went, in pieces of any size, with new keys in between") {
  KeyFolder folder;
  Two two(folder);
  Dice dice(1);
  two.connects->renew_keys_after(3);
  two.accepts->renew_keys_after(1);
  for (const std::size_t size : {1u, 16384u, 16385u, 70'000u, 1'000'000u}) {
    transfer(*two.connects, *two.accepts, random_bytes(dice, size), dice);
    transfer(*two.accepts, *two.connects, random_bytes(dice, size), dice);
  }
}

TEST_CASE("a session that nobody reads takes a bounded number of bytes") {
  KeyFolder folder;
  Two two(folder);
  Buffer bytes(1 << 20);
  const IoVec part{bytes.data(), bytes.size()};
  std::size_t taken = 0;
  for (int i = 0; i < 100; ++i) taken += two.connects->write(&part, 1).bytes;
  CHECK(taken < 512 << 10);
  CHECK(two.connects->unsent());
}

TEST_CASE("the end of a session is an end, and damage is no data") {
  KeyFolder folder;
  std::uint8_t bytes[100] = {1, 2, 3};
  const IoVec part{bytes, sizeof bytes};
  {
    Two two(folder);
    REQUIRE(two.connects->write(&part, 1).bytes == sizeof bytes);
    two.connects->say_goodbye();
    CHECK(two.accepts->read(&part, 1).bytes == sizeof bytes);
    const IoResult end = two.accepts->read(&part, 1);
    CHECK((end.bytes == 0 && end.error == 0));
  }
  {
    Two two(folder);
    ::shutdown(two.sockets.fds[0], SHUT_WR);  // without a goodbye
    const IoResult end = two.accepts->read(&part, 1);
    CHECK((end.bytes == 0 && end.error == 0));
  }
  {
    Two two(folder);
    REQUIRE(two.connects->write(&part, 1).bytes == sizeof bytes);
    std::uint8_t record[1000];
    const ssize_t size = ::recv(two.sockets.fds[1], record, sizeof record, 0);
    REQUIRE(size > 100);
    record[50] ^= 1;
    REQUIRE(::send(two.sockets.fds[0], record, static_cast<std::size_t>(size), 0) == size);
    CHECK(two.accepts->read(&part, 1).error == EPROTO);
    CHECK(two.accepts->failure().code == Code::corrupt);
    CHECK(two.accepts->read(&part, 1).error == EPROTO);
  }
}

TEST_CASE("keys that cannot be used are told with their file") {
  KeyFolder folder;
  const Texts good = folder.make("good");
  const Texts other = folder.make("other");
  const KeyFolder::Authority foreign = folder.make_authority("foreign");
  const TlsFiles files{good.at("certificate"), good.at("key"), good.at("authority")};
  CHECK(problem_of({files.certificate, "", files.authority}).find("needed together") != std::string::npos);
  CHECK(problem_of({files.certificate + "x", files.key, files.authority}).find(".pemx: No such file") !=
        std::string::npos);
  CHECK(problem_of({files.key, files.key, files.authority}).find("no certificate") != std::string::npos);
  CHECK(problem_of({files.certificate, files.certificate, files.authority}).find("no key") != std::string::npos);
  CHECK(problem_of({files.certificate, other.at("key"), files.authority}).find("is not the key of") !=
        std::string::npos);
  CHECK(problem_of({files.certificate, files.key, files.key}).find("no certificate of an authority") !=
        std::string::npos);
  CHECK(problem_of({files.certificate, files.key, foreign.file}).find("was not made by the authority in") !=
        std::string::npos);
  const Texts late = folder.make("late", folder.authority, {"127.0.0.1"}, -1);
  CHECK(problem_of({late.at("certificate"), late.at("key"), files.authority}).find("expired at 2") !=
        std::string::npos);
  ::chmod(files.key.c_str(), 0640);
  CHECK(problem_of(files).find("can be read by others: chmod 600") != std::string::npos);
  ::chmod(files.key.c_str(), 0600);
  std::string problem;
  const auto keys = TlsKeys::read(files, &problem);
  REQUIRE(keys != nullptr);
  CHECK(keys->seconds_left() > 190 * 86'400);
}

}  // namespace rideau
