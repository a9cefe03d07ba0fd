// SPDX-License-Identifier: Apache-2.0
#include "keys.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include <sys/stat.h>

namespace rideau::zeromq {
namespace {

constexpr std::size_t kTextBytes = 40;  // of a key in Z85
constexpr std::size_t kKeyBytes = 32;

bool is_key(const std::string& text) noexcept {
  std::uint8_t bytes[kKeyBytes];
  return text.size() == kTextBytes && zmq_z85_decode(bytes, text.c_str()) != nullptr;
}

std::string text_of(const zmq::message_t& key) {
  char text[kTextBytes + 1];
  if (key.size() != kKeyBytes || zmq_z85_encode(text, key.data<std::uint8_t>(), kKeyBytes) == nullptr) return {};
  return text;
}

}  // namespace

Status read_keys(const std::string& key_file, const std::string& server_key, const std::string& allowed, Keys* out,
                 std::string* problem) {
  const Status bad{Code::invalid, 0, "keys for encryption"};
  if (key_file.empty()) {
    if (server_key.empty() && allowed.empty()) return kOk;
    *problem = "server_key and allowed_keys need a key_file: without it nothing is encrypted";
    return bad;
  }
  struct stat about {};
  std::ifstream file(key_file);
  if (!file || ::stat(key_file.c_str(), &about) != 0) {
    *problem = key_file + ": " + std::strerror(errno);
    return bad;
  }
  if ((about.st_mode & 077) != 0) {
    *problem = key_file + " can be read by others: chmod 600 it";
    return bad;
  }
  std::getline(file, out->secret_key);
  char public_key[kTextBytes + 1];
  if (!is_key(out->secret_key) || zmq_curve_public(public_key, out->secret_key.c_str()) != 0) {
    *problem = key_file + ": its first line is no secret key, 40 characters as zmq_curve_keypair makes them";
    return bad;
  }
  out->used = true;
  out->public_key = public_key;
  out->server_key = server_key.empty() ? out->public_key : server_key;
  std::istringstream words(allowed.empty() ? out->public_key : allowed);
  for (std::string word; words >> word;) out->allowed.insert(word);
  for (const std::string& key : out->allowed) {
    if (is_key(key)) continue;
    *problem = "allowed_keys: \"" + key + "\" is no public key";
    return bad;
  }
  if (is_key(out->server_key)) return kOk;
  *problem = "server_key: \"" + out->server_key + "\" is no public key";
  return bad;
}

int KeyCheck::open(zmq::context_t& context) noexcept {
  if (const int error = socket_.open(context, zmq::socket_type::rep); error != 0) return error;
  const int bound = socket_.change([](zmq::socket_t& socket) { socket.bind("inproc://zeromq.zap.01"); });
  if (bound == 0) socket_.watch();
  return bound;
}

// A question is version, number, domain, address, identity, mechanism and the key.
void KeyCheck::on_readable() noexcept {
  static_cast<void>(socket_.change([this](zmq::socket_t& socket) {
    std::vector<zmq::message_t> parts;
    for (bool more = true; more;) {
      parts.emplace_back();
      if (!socket.recv(parts.back(), zmq::recv_flags::dontwait)) return;
      more = parts.back().more();
    }
    const bool asked = parts.size() == 7 && parts[5].to_string_view() == "CURVE";
    const std::string key = asked ? text_of(parts[6]) : std::string();
    const bool good = asked && keys_.allowed.contains(key);
    if (!good) {
      const std::string line = "zmq: " + (parts.size() > 3 ? parts[3].to_string() : std::string("somebody")) +
                               " refused: its key " + key + " is not allowed here";
      host_.log(Level::warning, Text(line));
    }
    const std::string number = parts.size() > 1 ? parts[1].to_string() : std::string();
    for (const std::string& part : {std::string("1.0"), number, std::string(good ? "200" : "400"),
                                    std::string(good ? "OK" : "key not allowed"), std::string()}) {
      socket.send(zmq::buffer(part), zmq::send_flags::sndmore);
    }
    socket.send(zmq::message_t(), zmq::send_flags::none);
  }));
}

}  // namespace rideau::zeromq
