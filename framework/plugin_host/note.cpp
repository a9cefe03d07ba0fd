// SPDX-License-Identifier: Apache-2.0
// Walks the PT_NOTE segments of an ELF file (System V ABI, chapter 5) for the note "Rideau", type 1.
#include "framework/plugin_host/note.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rideau {
namespace {

constexpr char kOwner[] = "Rideau";  // with its zero, as n_namesz counts
constexpr std::uint32_t kNoteType = 1;
constexpr std::uint32_t kProgramHeadersMax = 256;
constexpr std::uint64_t kNoteSegmentBytesMax = 1u << 20;

class File {
 public:
  explicit File(const std::string& path) noexcept
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
    if (fd_ < 0) {
      error_ = errno;
      return;
    }
    struct stat facts {};
    if (::fstat(fd_, &facts) != 0)
      error_ = errno;
    else if (!S_ISREG(facts.st_mode))
      error_ = S_ISDIR(facts.st_mode) ? EISDIR : ENOEXEC;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int error() const noexcept { return error_; }

  // False when the file ends before, whatever offset it was told.
  bool read_at(std::uint64_t offset, void* out, std::size_t bytes) noexcept {
    auto* to = static_cast<char*>(out);
    while (bytes > 0) {
      if (offset > static_cast<std::uint64_t>(INT64_MAX) - bytes) return false;
      const ssize_t count = ::pread(fd_, to, bytes, static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      to += count;
      offset += static_cast<std::uint64_t>(count);
      bytes -= static_cast<std::size_t>(count);
    }
    return true;
  }

 private:
  int fd_;
  int error_ = 0;
};

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) noexcept {
  return (value + alignment - 1) & ~(alignment - 1);
}

// All sums below stay far from overflow: sizes are 32-bit and `at` is at most kNoteSegmentBytesMax.
std::optional<PluginNote> find_note(const std::vector<char>& segment, std::uint64_t alignment) noexcept {
  std::uint64_t at = 0;
  while (at + sizeof(Elf64_Nhdr) <= segment.size()) {
    Elf64_Nhdr header{};
    std::memcpy(&header, segment.data() + at, sizeof header);
    const std::uint64_t name_at = at + sizeof header;
    const std::uint64_t content_at = name_at + align_up(header.n_namesz, alignment);
    const std::uint64_t next_at = content_at + align_up(header.n_descsz, alignment);
    if (content_at + header.n_descsz > segment.size()) return std::nullopt;
    if (header.n_type == kNoteType && header.n_namesz == sizeof kOwner && header.n_descsz == sizeof(PluginNote) &&
        std::memcmp(segment.data() + name_at, kOwner, sizeof kOwner) == 0) {
      PluginNote note{};
      std::memcpy(&note, segment.data() + content_at, sizeof note);
      note.build_tag[sizeof note.build_tag - 1] = '\0';
      return note;
    }
    at = next_at;
  }
  return std::nullopt;
}

NoteResult refuse(const std::string& path, Code code, int os_error, const std::string& why) {
  NoteResult result;
  result.status = {code, os_error, "read the note of a plugin"};
  result.message = path + ": " + why;
  return result;
}

// What is wrong with the header of the file, or null.
const char* wrong_header(const Elf64_Ehdr& header) noexcept {
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "not a shared library (no ELF header)";
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return "a 32-bit library; wanted 64-bit";
  if (header.e_ident[EI_DATA] != ELFDATA2LSB) return "a big-endian library; wanted little-endian";
  if (header.e_type != ET_DYN) return "not a shared library (an object file or a program)";
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return "damaged: program headers of an unknown size";
  if (header.e_phnum == 0 || header.e_phnum > kProgramHeadersMax) return "damaged: no usable program headers";
  return nullptr;
}

}  // namespace

NoteResult read_plugin_note(const std::string& path) {
  File file(path);
  if (file.error() != 0) {
    const bool missing = file.error() == ENOENT || file.error() == ENOTDIR;
    return refuse(path, missing ? Code::not_found : Code::io_error, file.error(), std::strerror(file.error()));
  }
  Elf64_Ehdr header{};
  if (!file.read_at(0, &header, sizeof header)) {
    return refuse(path, Code::invalid, 0, "not a shared library (too short for an ELF header)");
  }
  if (const char* wrong = wrong_header(header); wrong != nullptr) return refuse(path, Code::invalid, 0, wrong);

  for (std::uint32_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part{};
    const std::uint64_t part_at = header.e_phoff + std::uint64_t{i} * sizeof part;
    if (part_at < header.e_phoff || !file.read_at(part_at, &part, sizeof part)) {
      return refuse(path, Code::invalid, 0, "damaged: its program headers lie outside the file");
    }
    if (part.p_type != PT_NOTE || part.p_filesz > kNoteSegmentBytesMax) continue;
    std::vector<char> segment(part.p_filesz);
    if (!file.read_at(part.p_offset, segment.data(), segment.size())) continue;
    if (const std::optional<PluginNote> note = find_note(segment, part.p_align == 8 ? 8 : 4); note.has_value()) {
      NoteResult found;
      found.note = *note;
      return found;
    }
  }
  return refuse(path, Code::invalid, 0, "a shared library, but no Rideau plugin (it has no note .note.rideau)");
}

const char* kind_name(PluginKind kind) noexcept {
  switch (kind) {
    case PluginKind::transport:
      return "transport";
    case PluginKind::index_store:
      return "index store";
    case PluginKind::object_store:
      return "object store";
  }
  return "unknown kind";
}

}  // namespace rideau
