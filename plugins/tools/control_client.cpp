// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/control_client.hpp"

#include "plugins/tools/process.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <dirent.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

namespace http = boost::beast::http;

std::string request_text(const std::string& method, const std::string& path, const std::string& body) {
  http::request<http::string_body> request;
  request.version(11);
  request.method_string(method);
  request.target(path);
  request.set(http::field::host, "node");
  request.body() = body;
  request.prepare_payload();
  std::ostringstream text;
  text << request;
  return std::move(text).str();
}

int connect_to(const std::string& path, std::uint32_t patience_ms) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0) return -1;
  const timeval patience{patience_ms / 1000, static_cast<suseconds_t>(patience_ms % 1000) * 1000};
  ::setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(made, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return made;
  const int error = errno;
  ::close(made);
  errno = error;
  return -1;
}

bool send_all(int descriptor, const std::string& text) {
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t size = ::send(descriptor, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (size < 0 && errno != EINTR) return false;
    if (size > 0) sent += static_cast<std::size_t>(size);
  }
  return true;
}

// The answer, or false with errno (0: the connection ended early).
bool receive(int descriptor, ControlAnswer* answer) {
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  parser.eager(true);
  std::string bytes;
  while (!parser.is_done()) {
    char part[16384];
    const ssize_t size = ::recv(descriptor, part, sizeof part, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size == 0) errno = 0;
    if (size <= 0) return false;
    bytes.append(part, static_cast<std::size_t>(size));
    boost::beast::error_code error;
    bytes.erase(0, parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error));
    if (error && error != http::error::need_more) {
      errno = EPROTO;
      return false;
    }
  }
  answer->status = parser.get().result_int();
  answer->body = parser.get().body();
  return true;
}

}  // namespace

ControlAnswer ask_node(const std::string& folder, const std::string& node, const std::string& method,
                       const std::string& path, const std::string& body, std::uint32_t patience_ms) {
  ControlAnswer answer;
  const std::string socket = socket_path(folder, node);
  const int descriptor = connect_to(socket, patience_ms);
  if (descriptor < 0) {
    const bool away = errno == ENOENT || errno == ECONNREFUSED;
    answer.body = away ? "node " + node + " does not run on this machine" : socket + ": " + std::strerror(errno);
    return answer;
  }
  answer.reached = send_all(descriptor, request_text(method, path, body)) && receive(descriptor, &answer);
  if (!answer.reached) {
    const bool late = errno == EAGAIN || errno == EWOULDBLOCK;
    answer.body = "node " + node + (late ? " does not answer in time" : " ended before it had answered");
  }
  ::close(descriptor);
  while (!answer.body.empty() && answer.body.back() == '\n') answer.body.pop_back();
  return answer;
}

std::vector<std::string> local_nodes(const ClusterConfig& cluster, const std::string& wanted) {
  if (!wanted.empty()) return {wanted};
  std::vector<std::string> found;
  DIR* folder = ::opendir(run_folder(cluster.folder).c_str());
  while (const dirent* entry = folder != nullptr ? ::readdir(folder) : nullptr) {
    const std::string name = entry->d_name;
    if (name.size() <= 5 || name.substr(name.size() - 5) != ".sock") continue;
    const std::string node = name.substr(0, name.size() - 5);
    if (living_process(pid_path(cluster.folder, node))) found.push_back(node);
  }
  if (folder != nullptr) ::closedir(folder);
  std::sort(found.begin(), found.end());
  const auto place = [&cluster](const std::string& node) {
    const auto at = std::find_if(cluster.nodes.begin(), cluster.nodes.end(),
                                 [&node](const NodeConfig& known) { return known.name == node; });
    return at - cluster.nodes.begin();
  };
  std::stable_sort(found.begin(), found.end(),
                   [&place](const std::string& a, const std::string& b) { return place(a) < place(b); });
  return found;
}

}  // namespace rideau::tools
