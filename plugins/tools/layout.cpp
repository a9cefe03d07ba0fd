// SPDX-License-Identifier: Apache-2.0
// `rideau layout get|set`: the striping of files, and what directories hand to new ones. Asks the mount for the
// extended attribute that carries it, so that everybody who may use a file may use this.
#include "framework/base/limits.hpp"
#include "framework/config/units.hpp"
#include "plugins/fs/layout_text.hpp"
#include "plugins/tools/commands.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

const std::string kAttribute(fs::kLayoutAttribute);

// Words of a value: "key=value key=value".
std::vector<std::pair<std::string, std::string>> words_of(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> words;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    const std::size_t equals = word.find('=');
    if (equals != std::string::npos) words.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    begin = end + 1;
  }
  return words;
}

void print_failure(const std::string& path, int error) {
  const char* words = std::strerror(error);
  switch (error) {
    case EOPNOTSUPP:
    case ENOTTY:
      words = "is not on a Rideau file system";
      break;
    case ENODATA:
      words = "has no layout: it is neither a file nor a directory";
      break;
    case ENOTEMPTY:
      words = "has bytes already, and a file keeps the layout that it was filled with; make a new file and copy it";
      break;
    case EBUSY:
      words = "is open for writing; close it first";
      break;
    case EPERM:
      words = "is not yours: only its owner chooses its layout";
      break;
    case EINVAL:
      words =
          "cannot be striped like that: the cluster, or the pool, has fewer object targets or not this one (`rideau "
          "status` lists them)";
      break;
    case ENXIO:
      words = "there is no pool of object targets with that name: `pools` in cluster.toml names them";
      break;
    case ESHUTDOWN:
      words = "the first object target is drained and takes no new files (`rideau status`)";
      break;
    case ENOSPC:
      words = "no object target of its pool takes new files, or there is no room for the change";
      break;
    default:
      break;
  }
  std::fprintf(stderr, "%s: %s\n", path.c_str(), words);
}

bool read_layout(const std::string& path, std::string* text) {
  char room[16 * 1024];
  const ssize_t size = ::getxattr(path.c_str(), kAttribute.c_str(), room, sizeof room);
  if (size < 0) {
    print_failure(path, errno);
    return false;
  }
  text->assign(room, static_cast<std::size_t>(size));
  return true;
}

nlohmann::ordered_json value_of(const std::string& key, const std::string& value) {
  if (key == "targets") {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (std::size_t begin = 0; begin < value.size();) {
      const std::size_t end = std::min(value.find(',', begin), value.size());
      list.push_back(std::stoul(value.substr(begin, end - begin)));
      begin = end + 1;
    }
    return list;
  }
  if (!value.empty() && value.find_first_not_of("0123456789") == std::string::npos) return std::stoull(value);
  return value;
}

// Bytes of an option as a number, or `default`; nothing: told.
std::optional<std::string> size_text(const char* option, const std::string& given) {
  if (given == "default") return given;
  std::string size = given;
  // People say 1M and mean 1 MiB.
  if (std::strchr("KMG", size.back()) != nullptr) size += "iB";
  const std::optional<std::int64_t> bytes = parse_size(size);
  if (bytes) return std::to_string(*bytes);
  std::fprintf(stderr, "%s %s: wants bytes, such as 65536, 256K, 1M or \"4 MiB\", or `default`\n", option,
               given.c_str());
  return std::nullopt;
}

// The value for a wish of the command line; nothing when a word of it cannot be understood, which was told.
std::optional<std::string> wish_text(const LayoutOptions& options) {
  std::string text;
  if (!options.count.empty()) text += "stripe_count=" + options.count;
  if (!options.size.empty()) {
    const std::optional<std::string> size = size_text("--size", options.size);
    if (!size) return std::nullopt;
    text += (text.empty() ? "stripe_size=" : " stripe_size=") + *size;
  }
  if (!options.inline_max.empty()) {
    const std::optional<std::string> size = size_text("--inline", options.inline_max);
    if (!size) return std::nullopt;
    text += (text.empty() ? "inline=" : " inline=") + *size;
  }
  if (!options.offset.empty()) text += (text.empty() ? "stripe_offset=" : " stripe_offset=") + options.offset;
  if (!options.pool.empty()) text += (text.empty() ? "pool=" : " pool=") + options.pool;
  if (!fs::parse_layout_wish(text).ok()) {
    std::fprintf(stderr,
                 "say at least one of: --count (1 to %u, `all` or `default`), --size (a multiple of 64K up to 1G, or "
                 "`default`), --offset (0 for the first object target, or `any`), --inline (up to 64K, 0 or "
                 "`default`), --pool (its name, or `none`)\n",
                 limits::kStripeCountMax);
    return std::nullopt;
  }
  return text;
}

// A new file, open for reading only: whoever had it open for writing would keep it from getting its layout.
bool set_new_file(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) {
    print_failure(path, errno);
    return false;
  }
  const bool done = ::fsetxattr(file, kAttribute.c_str(), text.data(), text.size(), 0) == 0;
  if (!done) {
    const int error = errno;
    ::unlink(path.c_str());
    print_failure(path, error);
  }
  ::close(file);
  return done;
}

bool set_one(const std::string& path, const std::string& text) {
  struct stat known {};
  if (::stat(path.c_str(), &known) != 0) {
    if (errno == ENOENT) return set_new_file(path, text);
    print_failure(path, errno);
    return false;
  }
  if (::setxattr(path.c_str(), kAttribute.c_str(), text.data(), text.size(), 0) == 0) return true;
  print_failure(path, errno);
  return false;
}

}  // namespace

int layout_get(const LayoutOptions& options) {
  int result = kDone;
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const std::string& path : options.paths) {
    std::string text;
    if (!read_layout(path, &text)) {
      result = kFailed;
      continue;
    }
    if (!options.json) {
      std::printf("%s: %s\n", path.c_str(), text.c_str());
      continue;
    }
    nlohmann::ordered_json one;
    one["path"] = path;
    for (const auto& [key, value] : words_of(text)) one[key] = value_of(key, value);
    all.push_back(one);
  }
  if (options.json) {
    std::printf("%s\n", all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  }
  return result;
}

int layout_set(const LayoutOptions& options) {
  const std::optional<std::string> text = wish_text(options);
  if (!text) return kUsage;
  int result = kDone;
  for (const std::string& path : options.paths) {
    if (!set_one(path, *text)) result = kFailed;
  }
  return result;
}

}  // namespace rideau::tools
