// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/ports.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

namespace rideau::tools {
namespace {

constexpr std::uint32_t kFirst = 10'000;  // below are the ports of known services
constexpr std::uint32_t kEnd = 65'536;
constexpr std::uint32_t kFewest = 1'000;  // a range that is worth choosing from

struct Range {
  std::uint32_t begin;
  std::uint32_t end;
  std::uint32_t size() const { return end > begin ? end - begin : 0; }
};

Range range_of_servers() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  if (!(file >> low >> high)) return {kFirst, kEnd};
  const Range below{kFirst, low};
  const Range above{high + 1, kEnd};
  if (below.size() >= kFewest) return below;
  if (above.size() >= kFewest) return above;
  return {kFirst, kEnd};
}

bool is_free(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool bound = ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(descriptor);
  return bound;
}

}  // namespace

std::vector<std::uint16_t> free_ports(Runtime& runtime, std::size_t count) {
  const Range range = range_of_servers();
  const std::uint64_t start =
      random64(runtime) % range.size();  // two clusters that begin at once begin at different places
  std::vector<std::uint16_t> ports;
  for (std::uint32_t i = 0; i < range.size() && ports.size() < count; ++i) {
    const auto port = static_cast<std::uint16_t>(range.begin + (start + i) % range.size());
    if (is_free(port)) ports.push_back(port);
  }
  return ports;
}

}  // namespace rideau::tools
