// SPDX-License-Identifier: Apache-2.0
// Bytes of files in the simulated kernel: the page cache, written through, with pages locked while a request is
// unanswered. What happens to sizes follows the kernel: a read asks for attributes only where it would pass the size it
// believes, a short answer to READ corrects that size unless something changed meanwhile.
#include "plugins/client/repeat.hpp"
#include "tests/sim/sim_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rideau::sim {

Task<> SimKernel::lock_page(Node& node, std::uint64_t index) {
  for (;;) {
    Page& page = node.pages[index];
    if (!page.locked) {
      page.locked = true;
      page.bytes.resize(options_.page_bytes);
      co_return;
    }
    co_await node.page_unlocked.wait();
  }
}

void SimKernel::unlock_page(Node& node, std::uint64_t index) {
  node.pages[index].locked = false;
  node.page_unlocked.wake_all();
}

Task<> SimKernel::drop_pages(fs::InodeId inode) { return drop_pages(inode, 0, UINT64_MAX); }

Task<> SimKernel::drop_pages(fs::InodeId inode, std::uint64_t begin, std::uint64_t end) {
  if (options_.bug == KernelBug::keeps_pages) co_return;
  Node& known = node(inode);
  forget_attributes(inode);
  std::vector<std::uint64_t> indexes;
  for (const auto& [index, page] : known.pages) {
    if (index >= begin / options_.page_bytes && index <= (end - 1) / options_.page_bytes) indexes.push_back(index);
  }
  runtime_.world().trace(runtime_.id(), "kernel: pages of %llu from %llu on are dropped",
                         static_cast<unsigned long long>(inode), static_cast<unsigned long long>(begin));
  for (const std::uint64_t index : indexes) co_await drop_page(inode, index);
}

void SimKernel::cut_pages(Node& node, std::uint64_t size) {
  const std::uint64_t whole = size / options_.page_bytes;
  for (auto page = node.pages.lower_bound(whole); page != node.pages.end();) {
    const std::uint64_t kept = page->first == whole ? size % options_.page_bytes : 0;
    if (kept == 0) page->second.dirty = false;
    if (kept == 0 && !page->second.locked && !page->second.writing) {
      page = node.pages.erase(page);
      continue;
    }
    if (page->second.bytes.size() > kept) {
      std::memset(page->second.bytes.data() + kept, 0, page->second.bytes.size() - kept);
    }
    ++page;
  }
}

Task<Result<FileId>> SimKernel::open(fs::InodeId inode, std::uint32_t flags) {
  Node& known = node(inode);
  const bool cuts = (flags & fs::kOpenTruncate) != 0;
  if (cuts) co_await known.lock.lock(true);
  if (cuts) co_await hold_writes(known);
  busy("OPEN", inode);
  const auto begin = [&] { return below_.open(caller_, inode, flags); };
  const Result<client::OpenFile> opened = co_await client::repeated(below_, client::Repeat::always, begin);
  idle("OPEN", inode, opened.ok() ? "size " + std::to_string(opened->inode.size) : std::string("error"));
  co_await take_in();
  FileId file = 0;
  if (opened.ok()) {
    file = next_file_++;
    files_[file] = {inode, opened->handle, (flags & fs::kOpenWrite) != 0, known.errors};
    if (cuts) {
      known.size = 0;
      let_write(known);
      forget_attributes(inode);
      cut_pages(known, 0);
      co_await drop_pages(inode);
    }
  }
  if (cuts && !opened.ok()) let_write(known);
  if (cuts) known.lock.unlock(true);
  if (!opened.ok()) co_return opened.status();
  co_return file;
}

Task<Status> SimKernel::fill(File file, std::uint64_t first, std::uint64_t end) {
  Node& known = node(file.inode);
  const std::uint64_t page_bytes = options_.page_bytes;
  const std::uint64_t pages_max = options_.read_bytes_max / page_bytes;
  std::vector<IoVec> parts{{known.pages[first].bytes.data(), page_bytes}};
  // Read-ahead as the kernel does it: pages that follow, as long as nobody has them.
  std::uint64_t last = first;
  while (last + 1 < end && last + 1 - first < pages_max && known.pages.count(last + 1) == 0) {
    Page& page = known.pages[++last];
    page.locked = true;
    page.bytes.resize(page_bytes);
    parts.push_back({page.bytes.data(), page_bytes});
  }
  const std::uint64_t asked_at = changes_;
  busy("READ", file.inode);
  const auto begin = [&] {
    return below_.read(file.handle, first * page_bytes, parts.data(), static_cast<std::uint32_t>(parts.size()));
  };
  const Result<std::uint64_t> got = co_await client::repeated(below_, client::Repeat::always, begin);
  idle("READ", file.inode,
       std::to_string(first) + ": " + (got.ok() ? std::to_string(*got) + " bytes" : std::string("error")));
  co_await take_in();
  if (got.ok()) {
    std::uint64_t left = *got;
    for (const IoVec& part : parts) {
      const std::uint64_t here = std::min<std::uint64_t>(left, part.size);
      std::memset(static_cast<std::uint8_t*>(part.base) + here, 0, part.size - here);
      left -= here;
    }
    const std::uint64_t seen_end = first * page_bytes + *got;
    const bool is_short = *got < parts.size() * page_bytes;
    if (is_short && known.version <= asked_at && seen_end < known.size) {
      known.size = seen_end;
      known.version = ++changes_;
    }
  }
  for (std::uint64_t index = first; index <= last; ++index) {
    Page& page = known.pages[index];
    page.current = got.ok();
    page.locked = false;
    if (!got.ok()) known.pages.erase(index);
  }
  known.page_unlocked.wake_all();
  co_return got.ok() ? kOk : got.status();
}

Task<Result<std::string>> SimKernel::read(FileId id, std::uint64_t offset, std::uint64_t size) {
  const File file = files_.at(id);
  Node& known = node(file.inode);
  if ((options_.asks_before_reads || offset + size > known.size) && !known.attributes.has_value()) {
    const Result<fs::Inode> asked = co_await get_attributes(file.inode, true);
    if (!asked.ok()) co_return asked.status();
  }
  std::string out;
  const Status status = co_await copy_from_pages(file, known, offset, size, &out);
  if (!status.ok()) co_return status;
  co_return out;
}

Task<Status> SimKernel::copy_from_pages(File file, Node& known, std::uint64_t offset, std::uint64_t size,
                                        std::string* copied) {
  const std::uint64_t page_bytes = options_.page_bytes;
  std::string& out = *copied;
  while (out.size() < size && offset + out.size() < known.size) {
    const std::uint64_t at = offset + out.size();
    const std::uint64_t index = at / page_bytes;
    auto found = known.pages.find(index);
    if (found == known.pages.end() || !found->second.current) {
      co_await lock_page(known, index);
      if (!known.pages[index].current) {
        const std::uint64_t end = (std::min(offset + size, known.size) + page_bytes - 1) / page_bytes;
        const Status filled = co_await fill(file, index, std::max(end, index + 1));
        if (!filled.ok()) co_return filled;
      } else {
        unlock_page(known, index);
      }
      found = known.pages.find(index);
      if (found == known.pages.end()) continue;  // dropped at once: read it again
      if (at >= known.size) break;
    }
    const std::uint64_t in_page = at % page_bytes;
    const std::uint64_t count = std::min({page_bytes - in_page, size - out.size(), known.size - at});
    out.append(reinterpret_cast<const char*>(found->second.bytes.data()) + in_page, count);
  }
  co_return kOk;
}

Task<Result<std::uint64_t>> SimKernel::write_chunk(File file, std::uint64_t offset, std::string bytes,
                                                   std::uint64_t* asked) {
  Node& known = node(file.inode);
  const std::uint64_t page_bytes = options_.page_bytes;
  const std::uint64_t first = offset / page_bytes;
  std::uint64_t last = (offset + bytes.size() - 1) / page_bytes;
  // With maps, pages are let go as soon as they are whole, so others may see them, or drop them, before the request is
  // answered; one that is not ends the request, and stays locked until then. Else all of them do.
  bool last_locked = false;
  for (std::uint64_t index = first; index <= last; ++index) {
    co_await lock_page(known, index);
    Page& page = known.pages[index];
    const std::uint64_t begin = std::max(offset, index * page_bytes);
    const std::uint64_t end = std::min(offset + bytes.size(), (index + 1) * page_bytes);
    std::memcpy(page.bytes.data() + begin % page_bytes, bytes.data() + (begin - offset), end - begin);
    if (!options_.maps) continue;
    page.current = page.current || end - begin == page_bytes;
    if (page.current) {
      unlock_page(known, index);
      continue;
    }
    last = index;
    last_locked = true;
    bytes.resize(end - offset);
  }
  for (std::uint64_t index = first; index <= last; ++index) co_await until_written(known, index);
  const std::vector<IoVec> parts{{bytes.data(), bytes.size()}};
  *asked = bytes.size();
  busy("WRITE", file.inode);
  const auto begin_write = [&] {
    return below_.write(file.handle, offset, parts.data(), static_cast<std::uint32_t>(parts.size()));
  };
  const Result<std::uint64_t> done = co_await client::repeated(below_, client::Repeat::unless_sent, begin_write);
  idle("WRITE", file.inode,
       std::to_string(offset) + ": " + (done.ok() ? std::to_string(*done) + " bytes" : std::string("error")));
  co_await take_in();
  const std::uint64_t written = done.ok() ? *done : 0;
  for (std::uint64_t index = first; index <= last; ++index) {
    const auto found = known.pages.find(index);
    if (found == known.pages.end()) continue;  // dropped meanwhile
    Page& page = found->second;
    const std::uint64_t begin = std::max(offset, index * page_bytes);
    const std::uint64_t end = std::min(offset + bytes.size(), (index + 1) * page_bytes);
    const bool reached = offset + written >= end;
    const bool mine = !options_.maps || (index == last && last_locked);
    if (mine) {
      page.current = reached && (page.current || end - begin == page_bytes);
      page.locked = false;
    } else if (!reached && !page.dirty && !page.locked) {
      page.current = false;
    }
  }
  if (written > 0) {
    known.size = std::max(known.size, offset + written);
    forget_attributes(file.inode);
  }
  known.page_unlocked.wake_all();
  co_return done;
}

Task<Result<std::uint64_t>> SimKernel::write(FileId id, std::uint64_t offset, std::string bytes) {
  const File file = files_.at(id);
  Node& known = node(file.inode);
  co_await known.lock.lock(true);
  std::uint64_t written = 0;
  Status status = kOk;
  while (written < bytes.size()) {
    std::uint64_t size = std::min<std::uint64_t>(bytes.size() - written, options_.write_bytes_max);
    const Result<std::uint64_t> done = co_await write_chunk(file, offset + written, bytes.substr(written, size), &size);
    if (!done.ok()) status = done.status();
    if (done.ok()) written += *done;
    if (!done.ok() || *done < size) break;
  }
  known.lock.unlock(true);
  if (written == 0 && !status.ok()) co_return status;
  co_return written;
}

Task<Status> SimKernel::truncate(fs::InodeId inode, std::uint64_t size) {
  Node& known = node(inode);
  co_await known.lock.lock(true);
  fs::SetAttributesRequest request;
  request.caller = caller_;
  request.inode = inode;
  request.mask = fs::kSetSize;
  request.size = size;
  co_await hold_writes(known);
  busy("SETATTR", inode);
  const auto begin = [&] { return below_.set_attributes(request); };
  const Result<fs::Inode> done = co_await client::repeated(below_, client::Repeat::unless_sent, begin);
  idle("SETATTR", inode);
  co_await take_in();
  if (done.ok()) known.size = size;
  let_write(known);
  if (done.ok()) {
    forget_attributes(inode);
    cut_pages(known, size);
    co_await drop_pages(inode);
  }
  known.lock.unlock(true);
  co_return done.ok() ? kOk : done.status();
}

Task<Status> SimKernel::sync(FileId id) {
  const File file = files_.at(id);
  Node& known = node(file.inode);
  co_await known.lock.lock(true);
  const Status written = co_await write_stored(id);
  if (!written.ok()) {
    known.lock.unlock(true);
    co_return written;
  }
  busy("FSYNC", file.inode);
  const auto begin = [&] { return below_.sync(file.handle, false); };
  const Status status = co_await client::repeated(below_, client::Repeat::always, begin);
  idle("FSYNC", file.inode);
  co_await take_in();
  known.lock.unlock(true);
  co_return status;
}

// close() waits for FLUSH; RELEASE goes out afterwards and nobody waits for it.
Task<Status> SimKernel::close(FileId id) {
  const File file = files_.at(id);
  Status written = kOk;
  if (options_.maps) {
    co_await write_back(file.inode);
    KernelLock& lock = node(file.inode).lock;
    co_await lock.lock(true);
    written = co_await write_stored(id);
    lock.unlock(true);
  }
  files_.erase(id);
  if (!written.ok()) {
    background_.spawn(release(file.handle));
    co_return written;
  }
  busy("FLUSH", file.inode);
  const Status status = co_await below_.flush(file.handle);
  idle("FLUSH", file.inode);
  co_await take_in();
  background_.spawn(release(file.handle));
  co_return status;
}

Task<> SimKernel::release(fs::HandleId handle) {
  busy("RELEASE", fs::kNoInode);
  const Status status = co_await below_.release(handle);
  static_cast<void>(status);  // as in the kernel: nobody hears of it
  idle("RELEASE", fs::kNoInode);
}

}  // namespace rideau::sim
