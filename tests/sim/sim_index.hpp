// SPDX-License-Identifier: Apache-2.0
// The simulated IndexStore: an instance on a SimIndexDisk that outlives it. All time comes from Host::sleep, all
// randomness from the Host or from the caller of a fault, so a seed replays.
//
// A commit takes effect some time after it was submitted and is durable some time later. What was applied and is not
// durable is lost in a power cut from some batch on; each batch is lost whole, as the interface promises.
#pragma once

#include "rideau/abi.hpp"
#include "tests/sim/sim_index_disk.hpp"

namespace rideau::sim {

// The plugin "sim" of this kind. Its one key, `disk`, is the address of the SimIndexDisk, in decimal.
extern const PluginDescriptor kSimIndexDescriptor;
IndexStore* make_sim_index(Host& host, SimIndexDisk& disk);

}  // namespace rideau::sim
