// SPDX-License-Identifier: Apache-2.0
// The simulated ObjectStore: an instance on a SimObjectDisk that outlives it. All time comes from Host::sleep, all
// randomness from the Host or from the caller of a fault, so a seed replays.
//
// A call takes effect when its time has passed, so calls that overlap in time take effect in any order. A flush covers
// what had completed when it was submitted, and is durable when it completes.
#pragma once

#include "rideau/abi.hpp"
#include "tests/sim/sim_object_disk.hpp"

namespace rideau::sim {

// The plugin "sim" of this kind. Its one key, `disk`, is the address of the SimObjectDisk, in decimal.
extern const PluginDescriptor kSimObjectsDescriptor;
ObjectStore* make_sim_objects(Host& host, SimObjectDisk& disk);

}  // namespace rideau::sim
