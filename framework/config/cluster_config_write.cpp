// SPDX-License-Identifier: Apache-2.0
// The cluster.toml of a new cluster: what was decided stands there, what could be is a comment beside it.
#include "framework/config/cluster_config.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

namespace rideau {
namespace {

// A basic string of TOML.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// The name of a plugin, or a table with the values of its keys.
std::string choice_text(const std::string& plugin, const std::vector<RawValue>& values) {
  if (values.empty()) return quoted(plugin);
  std::string text = "{ plugin = " + quoted(plugin);
  for (const RawValue& value : values) {
    const bool boolean = value.kind == RawValue::Kind::boolean;
    text += ", " + value.key + " = " + (boolean ? (value.integer != 0 ? "true" : "false") : quoted(value.text));
  }
  return text + " }";
}

// One text, or a list.
std::string list_text(const std::vector<std::string>& texts) {
  if (texts.size() == 1) return quoted(texts.front());
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + quoted(text);
  return "[" + list + "]";
}

std::string head_text(const NewCluster& cluster) {
  return "# A Rideau cluster. `rideau check-config` tells everything that is wrong with this file;\n"
         "# `rideau plugins describe NAME` prints the keys that a plugin understands.\n"
         "# Relative paths start at the folder of this file.\n"
         "\n"
         "[cluster]\n"
         "name = " +
         quoted(cluster.name) +
         "\n"
         "uuid = " +
         quoted(to_text(cluster.uuid)) +
         "   # targets refuse to serve another cluster\n"
         "#removed = [4]              # ids of object targets that were drained and taken out: never used again\n"
         "#folder = \"/var/lib/rideau\" # where relative paths start, and run/ and log/ are; default: beside this "
         "file\n"
         "\n"
         "# What nodes and new files get when they say nothing themselves.\n"
         "[defaults]\n"
         "transport = " +
         choice_text(cluster.transport, cluster.transport_values) +
         "   # or a list, the preferred one first; `listen` and `address` are lists then\n"
         "index = " +
         quoted(cluster.index) +
         "\n"
         "objects = " +
         quoted(cluster.objects) +
         "\n"
         "stripe_count = 0             # object targets of a file; 0: all of them\n"
         "stripe_size = \"1 MiB\"\n"
         "#inline = \"4 KiB\"          # a file up to this size has its bytes at the metadata server; 0: none has\n"
         "#locks_max = 1048576         # that clients hold at the metadata server, one for each inode they cache\n"
         "#durability = \"replay\"      # replay: clients make lost changes again after a crash; commit: wait for the "
         "disk\n"
         "#recovery = \"4 s\"           # how long a restarted metadata server waits for clients to come back\n"
         "#log_level = \"info\"         # debug, info, warning, error\n"
         "#spin = \"60 us\"             # how long a node looks for work before it sleeps; 0 s: not at all\n"
         "#blocking_threads = 4       # of a server; a mount makes as many as it needs\n"
         "#events = true               # what a node did lately is kept for `rideau trace`\n"
         "#metrics = \"0.0.0.0:9400\"  # HTTP for Prometheus; default: a free port of loopback, see `status`\n"
         "\n"
         "# Settings of every client; [node.NAME.client] overrides them for one.\n"
         "[client]\n"
         "#cache = \"1 GiB\"            # of file data, clean and dirty, at most; unless set, an eighth of the memory\n"
         "#dirty_max = \"64 MiB\"\n"
         "#dirty_age = \"5 s\"          # data is written when it is this old\n"
         "#read_ahead = \"4 MiB\"\n"
         "#cached_inodes = 131072      # files and directories whose attributes and names are cached\n"
         "#default_permissions = false # true: the kernel of the client decides who may do what, which is slower\n";
}

// A store is named by the defaults; only a device has to be said here.
std::string device_text(const NewCluster& cluster, const NewCluster::Server& server) {
  if (server.device.empty()) return {};
  return "objects = { plugin = " + quoted(cluster.objects) + ", device = " + quoted(server.device) + " }\n";
}

std::string separate_nodes_text(const NewCluster& cluster) {
  std::string text;
  for (const NewCluster::Server& server : cluster.servers) {
    text += "\n[node." + server.name + "]\nroles = [" + quoted(role_name(server.role)) + "]\n";
    text += "id = " + std::to_string(server.id) + "   # of the target; never changes\n";
    text += "listen = " + list_text(server.listen) + "\n";
    text += "data = " + quoted(server.name) + "\n" + device_text(cluster, server);
    if (server.role == Role::oss) text += "#pools = [\"fast\"]          # of targets, which layouts can name\n";
  }
  for (std::uint32_t i = 0; i < cluster.clients; ++i) {
    text += "\n[node.client" + std::to_string(i) + "]\nroles = [\"client\"]\n";
  }
  return text;
}

std::string single_node_text(const NewCluster& cluster) {
  std::string text = "\n# Every role in one process.\n[node.all0]\nroles = [\"mds\", \"oss\", \"client\"]\n";
  if (!cluster.servers.empty()) text += "listen = " + list_text(cluster.servers.front().listen) + "\n";
  for (const NewCluster::Server& server : cluster.servers) {
    text += "\n[[node.all0.target]]\nrole = " + quoted(role_name(server.role)) + "\n";
    text +=
        "id = " + std::to_string(server.id) + "\ndata = " + quoted(server.name) + "\n" + device_text(cluster, server);
  }
  return text;
}

}  // namespace

std::string cluster_config_text(const NewCluster& cluster) {
  return head_text(cluster) + (cluster.single_process ? single_node_text(cluster) : separate_nodes_text(cluster));
}

namespace {

// First whole under another name, so that no reader and no crash ever sees half a file. Then `place` gives it its name.
bool write_whole(const std::string& path, const std::string& text, int (*place)(const char*, const char*),
                 std::string* why) {
  const std::string temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  int error = fd < 0 ? errno : 0;
  for (std::size_t at = 0; error == 0 && at < text.size();) {
    const ssize_t count = ::write(fd, text.data() + at, text.size() - at);
    if (count >= 0)
      at += static_cast<std::size_t>(count);
    else if (errno != EINTR)
      error = errno;
  }
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  if (fd >= 0) ::close(fd);
  if (error == 0 && place(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (fd >= 0) ::unlink(temporary.c_str());
  if (error == 0) return true;
  *why = path + ": cannot be written: " + std::strerror(error);
  return false;
}

}  // namespace

bool write_cluster_config(const std::string& path, const NewCluster& cluster, std::string* why) {
  return write_whole(path, cluster_config_text(cluster), ::link, why);  // refuses to replace
}

namespace {

bool read_whole(const std::string& path, std::string* text, std::string* why) {
  std::ifstream file(path);
  std::ostringstream read;
  if (file && read << file.rdbuf()) {
    *text = std::move(read).str();
    return true;
  }
  *why = path + ": cannot be read";
  return false;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// The table that a line begins: "node.oss0" of [node.oss0] and of [[node.oss0.target]] "node.oss0.target"; empty: none.
std::string table_of(const std::string& line) {
  const std::size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string::npos || line[begin] != '[') return {};
  const std::size_t name = line.find_first_not_of("[ \t", begin);
  const std::size_t end = line.find_first_of("] \t", name);
  return name == std::string::npos || end == std::string::npos ? std::string() : line.substr(name, end - name);
}

// Without the tables of the node, and with its targets in [cluster].
std::string without(const std::string& text, const NodeConfig& node, const std::vector<std::uint32_t>& removed) {
  std::string ids;
  for (const std::uint32_t id : removed) ids += (ids.empty() ? "" : ", ") + std::to_string(id);
  const std::string own = "node." + node.name;
  std::string kept;
  std::string table;
  for (const std::string& line : lines_of(text)) {
    if (const std::string begins = table_of(line); !begins.empty()) table = begins;
    if (table == own || table.starts_with(own + ".")) continue;
    const bool lists = table == "cluster" && line.find_first_not_of(" \t") != std::string::npos &&
                       line.substr(line.find_first_not_of(" \t")).starts_with("removed");
    if (lists) continue;
    kept += line + "\n";
    if (table_of(line) == "cluster") kept += "removed = [" + ids + "]   # never used again\n";
  }
  return kept;
}

}  // namespace

bool grow_cluster_config(const std::string& path, const NewCluster& more, std::string* why) {
  std::string text;
  if (!read_whole(path, &text, why)) return false;
  return write_whole(path, text + separate_nodes_text(more), std::rename, why);
}

bool shrink_cluster_config(const std::string& path, const NodeConfig& node, std::string* why) {
  std::string text;
  if (!read_whole(path, &text, why)) return false;
  const ConfigResult before = parse_cluster_config(text, path);
  std::vector<std::uint32_t> removed = before.config.removed;
  for (const TargetConfig& target : node.targets) removed.push_back(target.id);
  const std::string shrunk = without(text, node, removed);
  // Whatever way the file was written in: what it says now is what was meant, or it stays.
  const ConfigResult after = parse_cluster_config(shrunk, path);
  std::string reason;
  const bool good = after.ok() && after.config.removed == removed && after.config.find(node.name) == nullptr &&
                    after.config.nodes.size() + 1 == before.config.nodes.size() &&
                    has_grown_only(before.config, after.config, &reason);
  if (good) return write_whole(path, shrunk, std::rename, why);
  *why = path + ": node." + node.name + " cannot be taken out by itself (" +
         (after.ok() ? reason.empty() ? "the file is written in another way than `up` writes it" : reason
                     : to_text(after.problems)) +
         "): take it out by hand, and list its target ids as `removed` in [cluster]";
  return false;
}

}  // namespace rideau
