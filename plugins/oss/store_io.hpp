// SPDX-License-Identifier: Apache-2.0
// Reads and writes of any size on an ObjectStore, cut to the limits that it declares.
#pragma once

#include "framework/runtime/await.hpp"
#include "framework/runtime/task.hpp"
#include "rideau/object_store.hpp"

#include <cstdint>

namespace rideau::oss {

// As much as `parts` take; value = bytes read, short at the end of the object.
Task<Outcome> read_object(ObjectStore& store, ObjectId id, std::uint64_t offset, const IoVec* parts,
                          std::uint32_t count);
// All of `parts`, or a failure (a part of the range may be written then).
Task<Status> write_object(ObjectStore& store, ObjectId id, std::uint64_t offset, const IoVec* parts,
                          std::uint32_t count);

}  // namespace rideau::oss
