// SPDX-License-Identifier: Apache-2.0
// Parts that many bodies of a metadata target contain: inodes and callers.
#pragma once

#include "plugins/fs/codec.hpp"
#include "plugins/fs/codec_support.hpp"
#include "plugins/fs/meta.capnp.h"

namespace rideau::fs {

constexpr std::size_t kNameWireMax =
    limits::kPathBytesMax;  // longer ones are no names; the server says ENAMETOOLONG below it

// The word of a lock in parts has a field of its own: whoever does not know it must take it for no lock.
template <class Builder>
void fill_word(Builder& to, LockWord word) {
  if (is_divided(word)) {
    to.setDividedLock(word);
  } else {
    to.setLock(word);
  }
}
template <class Reader>
LockWord word_of(const Reader& from) {
  const LockWord divided = from.getDividedLock();
  return is_divided(divided) ? divided : from.getLock();
}

void fill(schema::Inode::Builder to, const Inode& from);
bool take(schema::Inode::Reader from, Inode* to);
void fill(schema::Caller::Builder to, const Caller& from);
bool take(schema::Caller::Reader from, Caller* to);
void fill(schema::SetAdvisoryLockRequest::Builder to, const SetAdvisoryLockRequest& from);
void take(schema::SetAdvisoryLockRequest::Reader from, SetAdvisoryLockRequest* to);

}  // namespace rideau::fs
