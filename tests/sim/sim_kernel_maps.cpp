// SPDX-License-Identifier: Apache-2.0
// Mapped files of the simulated kernel, as Linux has them since 6.16. A store makes a page dirty, and no request tells
// of it. Some time later, or when the file is synced or closed, the kernel writes dirty pages by WRITE requests of its
// own, on some handle that is open for writing, up to the end of the file that it believes in. All pages of one are
// under write-back until it is answered: they can be read and are not locked, but whoever would drop one, write it, or
// store into it waits. A dirty page that is dropped is written first, with its lock held. A change of the size waits
// for such requests and keeps new ones from being sent until it is answered itself.
#include "plugins/client/repeat.hpp"
#include "tests/sim/sim_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rideau::sim {

Task<> SimKernel::until_written(Node& node, std::uint64_t index) {
  for (;;) {
    const auto page = node.pages.find(index);
    if (page == node.pages.end() || !page->second.writing) co_return;
    co_await node.page_unlocked.wait();
  }
}

Task<Result<std::uint64_t>> SimKernel::store(FileId id, std::uint64_t offset, std::string bytes) {
  const File file = files_.at(id);
  Node& known = node(file.inode);
  const std::uint64_t page_bytes = options_.page_bytes;
  std::uint64_t stored = 0;
  while (stored < bytes.size() && offset + stored < known.size) {
    const std::uint64_t at = offset + stored;
    const std::uint64_t index = at / page_bytes;
    co_await lock_page(known, index);
    if (!known.pages[index].current) {
      const Status filled = co_await fill(file, index, index + 1);
      if (!filled.ok()) co_return filled;
      continue;
    }
    co_await until_written(known, index);
    Page& page = known.pages[index];
    const std::uint64_t in_page = std::min((index + 1) * page_bytes, offset + bytes.size()) - at;
    const std::uint64_t count = at < known.size ? std::min(in_page, known.size - at) : 0;
    if (count > 0) {
      std::memcpy(page.bytes.data() + at % page_bytes, bytes.data() + stored, count);
      page.dirty = true;
    }
    unlock_page(known, index);
    stored += count;
  }
  if (stored > 0 && !known.flushing) {
    known.flushing = true;
    background_.spawn(flush_later(file.inode));
  }
  co_return stored;
}

Task<Result<std::string>> SimKernel::load(FileId id, std::uint64_t offset, std::uint64_t size) {
  const File file = files_.at(id);
  Node& known = node(file.inode);
  std::string out;
  const Status status = co_await copy_from_pages(file, known, offset, size, &out);
  if (!status.ok()) co_return status;
  co_return out;
}

Task<> SimKernel::flush_later(fs::InodeId inode) {
  co_await sleep_for(runtime_, runtime_.world().random().below(options_.flush_ns_max));
  node(inode).flushing = false;
  co_await write_back(inode);
}

Task<> SimKernel::write_back(fs::InodeId inode) {
  Node& known = node(inode);
  const std::uint64_t pages_max = options_.write_bytes_max / options_.page_bytes;
  std::uint64_t next = 0;
  for (;;) {
    const auto dirty = std::find_if(known.pages.lower_bound(next), known.pages.end(),
                                    [](const auto& page) { return page.second.dirty; });
    if (dirty == known.pages.end()) break;
    const std::uint64_t first = dirty->first;
    next = first;
    while (next - first < pages_max) {
      const auto page = known.pages.find(next);
      if (page == known.pages.end() || !page->second.dirty) break;
      co_await lock_page(known, next);
      co_await until_written(known, next);
      Page& locked = known.pages[next];
      const bool goes = std::exchange(locked.dirty, false);
      locked.writing = goes;
      unlock_page(known, next);
      if (!goes) break;
      ++next;
    }
    if (next != first) background_.spawn(send_back(inode, first, next));
    next = std::max(next, first + 1);
  }
  const auto writing = [&known] {
    return std::any_of(known.pages.begin(), known.pages.end(), [](const auto& page) { return page.second.writing; });
  };
  while (writing()) co_await known.page_unlocked.wait();
}

Task<> SimKernel::send_back(fs::InodeId inode, std::uint64_t first, std::uint64_t end) {
  Node& known = node(inode);
  while (known.writes_held) co_await known.page_unlocked.wait();
  ++known.writes_back;
  const std::uint64_t offset = first * options_.page_bytes;
  const std::uint64_t bytes_end = std::min(end * options_.page_bytes, known.size);
  std::string bytes;
  for (std::uint64_t index = first; offset + bytes.size() < bytes_end; ++index) {
    const Page& page = known.pages[index];
    bytes.append(reinterpret_cast<const char*>(page.bytes.data()),
                 std::min<std::uint64_t>(options_.page_bytes, bytes_end - offset - bytes.size()));
  }
  const auto writable = [&](const auto& file) { return file.second.inode == inode && file.second.writes; };
  const auto file = std::find_if(files_.begin(), files_.end(), writable);
  bool failed = file == files_.end();
  if (!failed && !bytes.empty()) {
    const fs::HandleId handle = file->second.handle;
    const std::vector<IoVec> parts{{bytes.data(), bytes.size()}};
    client::WriteDetails details;
    details.pages = true;
    busy("WRITE of pages", inode);
    const auto begin = [&] { return below_.write(handle, offset, parts.data(), 1, &details); };
    const Result<std::uint64_t> done = co_await client::repeated(below_, client::Repeat::unless_sent, begin);
    idle("WRITE of pages", inode,
         std::to_string(offset) + ": " + (done.ok() ? std::to_string(*done) + " bytes" : std::string("error")));
    failed = !done.ok();  // how much was written, the kernel does not look at
    forget_attributes(inode);
  }
  if (failed) ++known.errors;
  --known.writes_back;
  for (std::uint64_t index = first; index < end; ++index) known.pages[index].writing = false;
  known.page_unlocked.wake_all();
}

Task<> SimKernel::hold_writes(Node& node) {
  node.writes_held = true;
  while (node.writes_back != 0) co_await node.page_unlocked.wait();
}

void SimKernel::let_write(Node& node) {
  node.writes_held = false;
  if (options_.maps) node.page_unlocked.wake_all();
}

// With everything that was stored before, for fsync, msync and close. An error is told once to each open file.
Task<Status> SimKernel::write_stored(FileId id) {
  const fs::InodeId inode = files_.at(id).inode;
  co_await write_back(inode);
  Node& known = node(inode);
  while (known.writes_back != 0) co_await known.page_unlocked.wait();
  const std::uint64_t seen = std::exchange(files_.at(id).errors_seen, known.errors);
  co_return seen == known.errors ? kOk : posix_error(EIO);
}

// A page that is dirty is written first.
Task<> SimKernel::drop_page(fs::InodeId inode, std::uint64_t index) {
  Node& known = node(inode);
  for (;;) {
    const auto page = known.pages.find(index);
    if (page == known.pages.end()) co_return;
    if (page->second.locked) {
      co_await known.page_unlocked.wait();
      continue;
    }
    const bool stored = page->second.writing || page->second.dirty;
    if (stored) {
      page->second.locked = true;
      co_await until_written(known, index);
      if (std::exchange(known.pages[index].dirty, false) && options_.bug != KernelBug::drops_stores) {
        known.pages[index].writing = true;
        co_await send_back(inode, index, index + 1);
      }
    }
    known.pages.erase(index);
    if (stored) known.page_unlocked.wake_all();
    co_return;
  }
}

// What the kernel knew of the file before and after an answer that told it attributes. With a new size or time, pages
// are no longer believed.
Task<> SimKernel::follow_attributes(fs::InodeId inode, std::uint64_t old_size, const fs::Inode& now) {
  Node& known = node(inode);
  if (now.size < old_size) cut_pages(known, now.size);
  const bool same = now.size == old_size && std::exchange(known.mtime_ns, now.mtime_ns) == now.mtime_ns;
  known.mtime_ns = now.mtime_ns;
  if (same) co_return;
  std::vector<std::uint64_t> indexes;
  for (const auto& [index, page] : known.pages) indexes.push_back(index);
  for (const std::uint64_t index : indexes) co_await drop_page(inode, index);
}

}  // namespace rideau::sim
