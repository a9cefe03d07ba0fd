// SPDX-License-Identifier: Apache-2.0
// What several operations need: checks, identities, the log of failures.
#include "plugins/oss/target.hpp"

#include <cerrno>

namespace rideau::oss {

Status note_failure(Target& target, std::string_view what, ObjectId id, Status status) {
  const bool expected = status.code == Code::no_space || status.code == Code::closed || status.code == Code::posix;
  target.log.write(expected ? Level::debug : Level::error,
                   std::string(what) + " of object " + std::to_string(id.high) + "." + std::to_string(id.low) +
                       " failed: " + code_name(status.code) + (status.where != nullptr ? " in " : "") +
                       (status.where != nullptr ? status.where : ""));
  return status;
}

Status check_writable(Target& target, ObjectId id, std::uint64_t offset, std::uint64_t size) {
  if (target.index.is_destroyed(id)) return posix_error(ESTALE, "write to a destroyed object");
  const std::uint64_t object_bytes_max = target.store.limits().object_bytes_max;
  if (size > object_bytes_max || offset > object_bytes_max - size)
    return posix_error(EFBIG, "write beyond the store's limit");
  return kOk;
}

std::optional<FreeSpace> free_space(Target& target) {
  ObjectSpace space{};
  if (!target.store.space(&space).ok()) return std::nullopt;
  return FreeSpace{space.bytes_total, space.bytes_free, space.objects_free};
}

bool fits_beside_grants(Target& target, std::uint64_t bytes) {
  const std::optional<FreeSpace> space = free_space(target);
  return bytes == 0 || !space || target.grants.fits(bytes, *space);
}

CallIdentity identity_of(rpc::ServerCall& call) {
  return {call.session().id(), call.session().client(), call.slot(), call.sequence(), call.method()};
}

}  // namespace rideau::oss
