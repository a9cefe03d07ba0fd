// SPDX-License-Identifier: Apache-2.0
// Cluster: one metadata server, two object servers and some clients on a simulated world. Servers are assembled by the
// same Node and roles as in the program, from a configuration; only the plugins are simulated, and guarded.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/node/node.hpp"
#include "framework/observe/log.hpp"
#include "framework/plugin_host/instance.hpp"
#include "plugins/client/file_system.hpp"
#include "tests/sim/sim_index.hpp"
#include "tests/sim/sim_kernel.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/sim/sim_block_device.hpp"
#include "tests/sim/sim_objects.hpp"
#include "tests/sim/workload.hpp"

#include <memory>
#include <string>
#include <vector>

namespace rideau::sim {

struct ClusterOptions {
  std::uint32_t object_servers = 2;
  std::uint32_t clients = 3;
  bool blocks = false;                    // the block-device store, on simulated devices, instead of simulated objects
  std::uint64_t small_object_max = 4096;  // of that store
  std::uint64_t deferred_write_max = 1024;
  SimKernelOptions kernel{};
};

// The log of a node goes into the trace of the run; errors are kept.
class TraceLogger final : public Logger {
 public:
  TraceLogger(SimWorld& world, NodeId node) : Logger(Level::debug), world_(world), node_(node) {}

 private:
  void put(Level level, std::string_view line) noexcept override;
  SimWorld& world_;
  NodeId node_;
};

class Cluster {
 public:
  Cluster(SimWorld& world, ClusterOptions options);
  ~Cluster();

  // Servers and clients are up, or the answer says what is not.
  std::string start();
  std::vector<Mount>& mounts() noexcept { return mounts_; }
  // One more client, that has seen nothing. Null: it did not start.
  Mount* add_client(std::string* problem);
  // Server 0 is the metadata server. It ends where it stands, at whatever await; with `power_cut` what its stores had
  // not made durable is gone too. Then it is started again.
  void kill_server(std::size_t number, bool power_cut);
  void restart_server(std::size_t number);
  bool is_up(std::size_t number) const noexcept { return servers_[number] != nullptr; }
  bool start_failed(std::size_t number) const noexcept;
  std::size_t server_count() const noexcept { return servers_.size(); }
  // Nodes by number: first the servers, then the clients that were made so far. One that is down has no runtime.
  std::size_t node_count() const noexcept { return servers_.size() + clients_.size(); }
  SimRuntime* node(std::size_t number) noexcept;
  bool is_client(std::size_t number) const noexcept { return number >= servers_.size(); }
  // A client dies with everything it had not written; its machine may live on and tell its peers so.
  void kill_client(std::size_t number, bool machine_too);
  bool is_alive(const Mount& mount) const noexcept;
  // What a server stores; faults of disks are done to it directly.
  struct Disk {
    SimIndexDisk index;
    SimObjectDisk objects;
    SimBlockDisk device{1ull << 30};
  };
  Disk& disk(std::size_t server) noexcept;
  SimNetwork& network() noexcept { return network_; }
  bool on_blocks() const noexcept { return options_.blocks; }
  // Of servers that were started again; empty: none.
  std::string start_problem() const;
  // Clients end first, then what they left to be done is waited for, then servers end. Says what was left behind, and
  // what the file system check finds in the stores. `emptied`: every file was removed, so no object may be left.
  // `may_have_lost`: a client may say at its end that it could not write everything.
  std::string stop(bool emptied, bool may_have_lost = false);
  // From here on somebody has the files of an object server move away, and asks again until the metadata server has
  // said that it does; 0: no bound.
  void begin_drain(std::size_t server, std::uint64_t bytes_per_second);
  void keep_draining();
  // Waits until nothing is on it any more, and says what is there all the same.
  std::string end_drain();
  // From here on one more node checks the running servers, again and again. The end says what it found.
  void begin_checks();
  std::string end_checks();
  // Runs a coroutine of a node to its end. Empty, or what went wrong.
  std::string run(Mount& mount, Task<> task, const char* what);
  // What the kernels of all clients wait for.
  std::string describe() const;
  bool empty_stores() const;

 private:
  struct Server;
  struct Client;
  struct Checker;
  struct LiveChecker;
  // What a server's process leaves to the next one of its name.
  struct Place {
    std::string name;
    Role role = Role::mds;
    std::uint32_t target = 0;
    SimRuntimeOptions clock;
    SimPlace network;
    Disk disk;
  };

  std::uint64_t objects_on(const Disk& disk) const;
  void configure(Place& place);
  std::unique_ptr<Server> make_server(std::size_t number);
  Client& make_client(const std::string& name);
  std::string wait(const std::function<bool()>& done, const std::string& what, std::uint64_t limit_ns = 60 * kSecond);
  std::string left_behind(bool emptied) const;
  bool is_drained() const;
  std::uint64_t session_records(bool of_clients) const;
  std::string check_stores();

  SimWorld& world_;
  const ClusterOptions options_;
  SimNetwork network_;
  PluginCatalog catalog_;
  ClusterConfig config_;
  std::vector<std::unique_ptr<Place>> places_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::unique_ptr<LiveChecker> checks_;
  std::vector<Mount> mounts_;
  struct Drain {
    std::size_t server = 0;  // 0: none
    std::uint64_t bytes_per_second = 0;
    bool told = false;
  };
  Drain drain_;
  bool stopped_ = false;
};

}  // namespace rideau::sim
