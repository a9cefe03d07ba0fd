// SPDX-License-Identifier: Apache-2.0
// A program with a whole file system in a folder, and no daemon: adds a line to a file in it and shows all of them.
//
//   embedded_file_system FOLDER LINE
#include <rideau/client.hpp>

#include <cstdio>
#include <string>

using rideau::Client;

static int failed(const char* what, const Client::Status& status) {
  std::fprintf(stderr, "%s: %s\n", what, status.text.c_str());
  return 1;
}

int main(int count, char** words) {
  if (count != 3) return std::fprintf(stderr, "usage: embedded_file_system FOLDER LINE\n"), 2;
  auto opened = Client::open_folder(words[1], Client::Options{});
  if (!opened.ok()) return failed("open", opened.status);
  Client& files = *opened.value;
  const Client::Caller me = Client::this_process();

  auto file = files.create(me, Client::kRoot, "notes", 0644, Client::kRead | Client::kWrite | Client::kAppend);
  if (!file.ok()) return failed("create", file.status);
  const std::string line = std::string(words[2]) + "\n";
  auto written = files.write(file.value.handle, 0, line.data(), line.size());
  if (!written.ok()) return failed("write", written.status);
  if (const auto durable = files.fsync(file.value.handle); !durable.ok()) return failed("fsync", durable);

  std::string all(file.value.attributes.size + line.size(), '\0');
  auto read = files.read(file.value.handle, 0, all.data(), all.size());
  if (!read.ok()) return failed("read", read.status);
  std::fwrite(all.data(), 1, read.value, stdout);
  if (const auto closed = files.close(file.value.handle); !closed.ok()) return failed("close", closed);
  const Client::Status ended = files.disconnect();
  return ended.ok() ? 0 : failed("disconnect", ended);
}
