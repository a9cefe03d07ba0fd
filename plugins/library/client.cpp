// SPDX-License-Identifier: Apache-2.0
// The life of a Client: configuration, thread, sessions, and their end.
#include "plugins/client/connect.hpp"
#include "plugins/library/client_impl.hpp"
#include "plugins/library/folder.hpp"
#include "plugins/roles/roles.hpp"

#include <cstring>

#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

namespace rideau {

void LibraryLogger::put(Level level, std::string_view line) noexcept {
  if (level == Level::error) {
    const std::lock_guard lock(mutex_);
    last_error_ = line;
  }
  if (sink_) sink_(static_cast<int>(level), std::string(line));
}

std::string LibraryLogger::last_error() {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

Client::Status to_client(Status status) {
  if (status.ok()) return {};
  const int error = errno_of(status);
  return {error, status.code == Code::posix && status.where == nullptr ? std::strerror(error) : status_text(status)};
}

namespace {

// The folder of plugins beside the library that this code is in.
std::string own_plugin_folder() {
  Dl_info own{};
  if (::dladdr(reinterpret_cast<void*>(&own_plugin_folder), &own) == 0 || own.dli_fname == nullptr) return {};
  const std::string library(own.dli_fname);
  const std::size_t slash = library.rfind('/');
  return (slash == std::string::npos ? "." : library.substr(0, slash)) + "/rideau/plugins";
}

PluginCatalog catalog_of(const Client::Options& options) {
  CatalogOptions folders;
  folders.folders = options.plugin_folders;
  const std::string own = own_plugin_folder();
  if (!own.empty()) folders.folders.push_back(own);
  for (const std::string& folder : default_plugin_folders()) folders.folders.push_back(folder);
  return PluginCatalog(folders);
}

}  // namespace

// Every server of the file is in this process.
Task<Client::Status> Client::Impl::serve_all() {
  for (const NodeConfig& node : config.nodes) {
    if (node.targets.empty()) continue;
    if (running->node != nullptr || !node.has(Role::client)) {
      co_return client_error(EINVAL, config.file + ": its servers are processes of their own; connect() to them");
    }
    running->node = std::make_unique<Node>(thread.runtime(), log, catalog, config, node);
    roles::add_roles(*running->node);
    const rideau::Status serving = co_await running->node->start();
    if (!serving.ok()) co_return client_error(errno_of(serving), running->node->problem());
  }
  co_return Client::Status{};
}

Task<Client::Status> Client::Impl::open_all(const std::string& place) {
  RealRuntime& runtime = thread.runtime();
  if (serves) {
    Client::Status served = co_await serve_all();
    if (!served.ok()) co_return served;
  }
  const NodeConfig& node = config.any_client;
  running->transports = std::make_unique<NodeTransports>(runtime, log, catalog, config, node);
  NodeTransports& transports = *running->transports;
  const rideau::Status reachable = co_await transports.start("client.transport", NodeTransports::Wanted::needed);
  if (!reachable.ok()) {
    co_return client_error(transports.bad_configuration() ? EINVAL : errno_of(reachable), transports.problem());
  }
  client::FileSystemOptions options =
      client::file_system_options(runtime, config, node.client, transports, running->gauge, place);
  if (running->memory.usable() && transports.offer(running->memory)) {
    options.lendable = &running->memory;
  }
  running->files = std::make_unique<client::FileSystem>(runtime, log, std::move(options));
  const rideau::Status connected = co_await running->files->start();
  if (!connected.ok()) {
    co_return client_error(errno_of(connected), "cannot reach the cluster " + config.name + ": " + log.last_error());
  }
  co_return Client::Status{};
}

Task<> Client::Impl::start(std::string place, std::promise<Client::Status>& done) {
  Client::Status status = co_await open_all(place);
  done.set_value(std::move(status));
}

Task<Client::Status> Client::Impl::close_all() {
  // Those that wait for their turn are started by those that end.
  co_await running->operations.join();
  rideau::Status status = kOk;
  if (running->files != nullptr) status = co_await running->files->stop();
  running->files.reset();
  if (running->transports != nullptr) {
    const rideau::Status stopped = co_await running->transports->stop();
    if (status.ok()) status = stopped;
  }
  running->transports.reset();
  if (running->node != nullptr) co_await running->node->stop();
  running->node.reset();
  co_return to_client(status);
}

Task<> Client::Impl::stop(std::promise<Client::Status>& done) {
  closed = true;
  Client::Status status = co_await close_all();
  // This frame belongs to what goes now.
  thread.post([this, &done, status = std::move(status)]() mutable {
    running.reset();
    done.set_value(std::move(status));
  });
}

void Client::Impl::submit(Start start) {
  bool first = false;
  {
    const std::lock_guard lock(submitting);
    first = submitted.empty();
    submitted.push_back(std::move(start));
  }
  if (first) thread.post([this] { take_submitted(); });
}

void Client::Impl::take_submitted() {
  std::vector<Start> taken;
  {
    const std::lock_guard lock(submitting);
    taken.swap(submitted);
  }
  for (Start& start : taken) {
    if (closed) {
      start(false);
    } else {
      waiting.push_back(std::move(start));
    }
  }
  start_waiting();
}

void Client::Impl::start_waiting() {
  if (std::exchange(starting, true)) return;
  while (started < kStartedMax && !waiting.empty()) {
    const Start start = std::move(waiting.front());
    waiting.pop_front();
    start(true);
  }
  starting = false;
}

Client::Status Client::Impl::disconnect() {
  if (thread.is_current()) return client_error(EDEADLK, "disconnect() on the client's own thread");
  const std::lock_guard one(closing);
  if (std::exchange(disconnected, true)) return {};
  std::promise<Client::Status> done;
  std::future<Client::Status> ended = done.get_future();
  thread.post([this, &done] { running->life.spawn(stop(done)); });
  return ended.get();
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Client::~Client() { static_cast<void>(impl_->disconnect()); }

Client::Status Client::disconnect() { return impl_->disconnect(); }

Client::Result<std::unique_ptr<Client>> Client::connect(const Options& options) {
  Result<std::unique_ptr<Client>> result;
  const bool from_file = !options.config_file.empty();
  ConfigResult config = from_file ? load_cluster_config(options.config_file)
                                  : parse_cluster_config(options.config_text, "./cluster.toml");
  if (!config.ok()) {
    result.status = client_error(EINVAL, to_text(config.problems));
    return result;
  }
  return Impl::begin_life(std::move(config.config), options, false);
}

Client::Result<std::unique_ptr<Client>> Client::open_folder(const std::string& folder, const Options& options) {
  Result<std::unique_ptr<Client>> result;
  ClusterConfig config;
  result.status = folder_config(folder, &config);
  return result.ok() ? Impl::begin_life(std::move(config), options, true) : std::move(result);
}

Client::Result<std::unique_ptr<Client>> Client::Impl::begin_life(ClusterConfig config, const Options& options,
                                                                 bool serves) {
  Result<std::unique_ptr<Client>> result;
  std::string place = options.name.empty() ? std::string(::program_invocation_short_name) : options.name;
  auto impl = std::make_unique<Impl>(std::move(config), catalog_of(options), options, serves);
  Impl& inside = *impl;
  result.value.reset(new Client(std::move(impl)));
  std::promise<Client::Status> done;
  std::future<Client::Status> connected = done.get_future();
  inside.thread.post([&inside, &done, place = std::move(place)]() mutable {
    inside.running.emplace(inside.thread.runtime());
    inside.running->life.spawn(inside.start(std::move(place), done));
  });
  result.status = connected.get();
  if (!result.status.ok()) result.value.reset();
  return result;
}

Client::Caller Client::this_process() {
  Caller caller;
  caller.uid = ::geteuid();
  caller.gid = ::getegid();
  const int count = ::getgroups(0, nullptr);
  if (count > 0) {
    caller.groups.resize(static_cast<std::size_t>(count));
    const int got = ::getgroups(count, caller.groups.data());
    caller.groups.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  }
  return caller;
}

}  // namespace rideau
