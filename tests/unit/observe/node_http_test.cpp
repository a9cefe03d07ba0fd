// SPDX-License-Identifier: Apache-2.0
// Goal: the responder answers whole requests over both kinds of sockets, refuses what is none or too large, keeps its
// socket to its owner, and ends with answers given.
#include "framework/observe/node_http.hpp"
#include "framework/runtime/real_runtime.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace rideau {
namespace {

std::string talk(int descriptor, const std::string& text, bool end_of_text = true) {
  // A peer that gives up early makes the rest of the text unsendable: its answer is what counts.
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t size = ::send(descriptor, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (size <= 0) break;
    sent += static_cast<std::size_t>(size);
  }
  if (end_of_text) ::shutdown(descriptor, SHUT_WR);
  std::string answer;
  char part[4096];
  for (ssize_t size = 0; (size = ::recv(descriptor, part, sizeof part, 0)) > 0;) {
    answer.append(part, static_cast<std::size_t>(size));
  }
  ::close(descriptor);
  return answer;
}

int dial(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  const int made = ::socket(AF_INET, SOCK_STREAM, 0);
  return ::connect(made, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 ? made : -1;
}

int dial_local(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, path.c_str(), path.size() + 1);
  const int made = ::socket(AF_UNIX, SOCK_STREAM, 0);
  return ::connect(made, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 ? made : -1;
}

Task<HttpAnswer> echo(Runtime* runtime, HttpRequest request) {
  co_await sleep_for(*runtime, kMillisecond);
  HttpAnswer answer;
  answer.body = request.method + " " + request.path + " " + request.body;
  co_return answer;
}

// Runs `client` on a thread of its own while the responder serves it.
template <class Client>
void serve(Client client) {
  char folder[] = "/tmp/rideau-http-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/node.sock";
  RealRuntime runtime;
  NullLogger log;
  const auto main = [&]() -> Task<> {
    const auto handler = [&runtime](HttpRequest request) { return echo(&runtime, std::move(request)); };
    HttpListener tcp(runtime, log, handler);
    HttpListener local(runtime, log, handler);
    std::string bound;
    std::string why;
    const bool listening = tcp.listen_tcp("127.0.0.1:0", &bound, &why) && local.listen_local(path, &why);
    CHECK(why.empty());
    if (listening) {
      bool ended = false;
      WaitQueue done(runtime);
      Alarm look(runtime, [&] { done.wake_all(); });
      std::atomic<bool> finished{false};
      std::thread thread([&] {
        client(bound, path);
        finished = true;
      });
      while (!ended) {
        look.set(kMillisecond);
        co_await done.wait();
        ended = finished;
      }
      thread.join();
    }
    co_await tcp.stop();
    co_await local.stop();
  };
  runtime.run(main());
  CHECK(::access(path.c_str(), F_OK) != 0);
  CHECK(::rmdir(folder) == 0);
}

TEST_CASE("requests are answered over TCP and over the local socket") {
  serve([](const std::string& address, const std::string& path) {
    const std::string get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const bool end_of_text : {true, false}) {
      const std::string answer = talk(dial(address), get, end_of_text);
      CHECK(answer.starts_with("HTTP/1.1 200"));
      CHECK(answer.find("Connection: close\r\n") != std::string::npos);
      CHECK(answer.ends_with("\r\n\r\nGET /metrics "));
    }
    const std::string put = "PUT /log-level HTTP/1.1\r\nContent-Length: 5\r\n\r\ndebug";
    CHECK(talk(dial_local(path), put).ends_with("PUT /log-level debug"));
    const std::string body(50'000, 'b');
    const std::string large = "POST / HTTP/1.1\r\nContent-Length: 50000\r\n\r\n" + body;
    CHECK(talk(dial_local(path), large).ends_with("POST / " + body));
    struct stat file {};
    CHECK(::stat(path.c_str(), &file) == 0);
    CHECK((file.st_mode & 0777) == 0600);
  });
}

TEST_CASE("what is no request is refused, and the next one is served") {
  serve([](const std::string& address, const std::string&) {
    CHECK(talk(dial(address), "hello\r\n\r\n").starts_with("HTTP/1.1 400"));
    CHECK(talk(dial(address), std::string(300'000, 'x')).find("200 OK") == std::string::npos);
    CHECK(talk(dial(address), "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").starts_with("HTTP/1.1 400"));
    CHECK(talk(dial(address), "GET /half HTT").starts_with("HTTP/1.1 400"));
    CHECK(talk(dial(address), "").starts_with("HTTP/1.1 400"));
    CHECK(talk(dial(address), "GET /still HTTP/1.0\r\n\r\n").ends_with("GET /still "));
  });
}

TEST_CASE("more at once than are served wait their turn") {
  serve([](const std::string& address, const std::string&) {
    std::vector<int> silent;
    for (std::size_t i = 0; i + 1 < HttpListener::kConnectionsMax; ++i) silent.push_back(dial(address));
    CHECK(talk(dial(address), "GET /one HTTP/1.1\r\n\r\n").ends_with("GET /one "));
    silent.push_back(dial(address));
    const int waiting = dial(address);
    for (const int descriptor : silent) ::close(descriptor);
    CHECK(talk(waiting, "GET /two HTTP/1.1\r\n\r\n").ends_with("GET /two "));
  });
}

TEST_CASE("addresses that cannot be listened on are told") {
  RealRuntime runtime;
  NullLogger log;
  HttpListener listener(runtime, log, [](HttpRequest) -> Task<HttpAnswer> { co_return HttpAnswer{}; });
  for (const char* address : {"", "9180", "localhost", "127.0.0.1:port", ":9180", "1.2.3:x"}) {
    std::string why;
    CHECK_FALSE(listener.listen_tcp(address, nullptr, &why));
    CHECK(why.find(address) != std::string::npos);
  }
  std::string why;
  CHECK_FALSE(listener.listen_local("/tmp/" + std::string(200, 'x'), &why));
  CHECK(why.find("too long") != std::string::npos);
}

}  // namespace
}  // namespace rideau
