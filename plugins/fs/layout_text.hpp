// SPDX-License-Identifier: Apache-2.0
// Layouts as text: the value of the attribute kLayoutAttribute, through which people look at layouts and choose them.
//
//   of a file       stripe_count=2 stripe_size=1048576 stripe_offset=1 inline=4096 bytes=inline targets=3,2
//   of a directory  stripe_count=all stripe_size=default stripe_offset=any inline=default pool=fast
//
// Words are parted by blanks. stripe_count: a number, "all" (targets) or "default" (as the cluster is configured);
// stripe_size: bytes or "default"; stripe_offset: which of the object targets, counted from 0 in the order of their
// numbers, has the first stripe, or "any"; inline: how many bytes a file may have beside its inode, 0: none, or
// "default"; pool: the name of a pool of targets, or "none"; told only where there is one. `targets`, and `bytes`
// (where they are: "inline" or "objects"), are told only: a value that was read can be written back, and these words
// are passed over then.
#pragma once

#include "framework/base/result.hpp"
#include "plugins/fs/inode.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rideau::fs {

// No namespace that listxattr shows and that tools copy: a copy of a file gets the layout of the place it is copied to.
constexpr std::string_view kLayoutAttribute = "rideau.layout";

// What is to change; what is absent stays.
struct LayoutWish {
  std::optional<std::uint32_t> stripe_count;  // kStripeAll; 0: default
  std::optional<std::uint32_t> stripe_size;   // bytes; 0: default
  std::optional<std::int32_t> stripe_offset;  // -1: any
  std::optional<std::uint32_t> inline_max;    // bytes; kInlineAsConfigured
  std::optional<std::string> pool;            // empty: none
};

// Letters, digits, '.', '_' and '-', at most kPoolNameBytesMax, and not "none".
bool is_pool_name(std::string_view name) noexcept;

// `stripe_offset` as above; -1 when the first target is not one of the cluster's any more.
std::string layout_text(const Layout& layout, std::int32_t stripe_offset, bool is_inline, const std::string& pool = {});
std::string layout_text(const LayoutDefault& wish, const std::string& pool = {});

// EINVAL for anything else than the words above, each at most once, and for a wish that says nothing. Whether the
// cluster can have it is not looked at, but sizes are within limits.hpp.
Result<LayoutWish> parse_layout_wish(std::string_view text);

}  // namespace rideau::fs
