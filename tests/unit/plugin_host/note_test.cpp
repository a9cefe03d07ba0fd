// SPDX-License-Identifier: Apache-2.0
// Goal: whatever a file holds, reading its note gives the note or a reason, and never reads outside of the file.
#include "framework/plugin_host/note.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include <elf.h>
#include <unistd.h>

using namespace rideau;

namespace {

class File {
 public:
  File() {
    std::string name = (std::filesystem::temp_directory_path() / "rideau-note-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    REQUIRE(fd >= 0);
    ::close(fd);
    path_ = name;
  }
  ~File() { std::filesystem::remove(path_); }
  NoteResult read_back(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    return read_plugin_note(path_);
  }

 private:
  std::string path_;
};

template <class T>
void put(std::string& bytes, std::size_t at, const T& value) {
  if (bytes.size() < at + sizeof value) bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

constexpr std::size_t kSegmentAt = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);

// The smallest file with a note: header, one program header, one segment with another note in front of ours.
std::string good_file() {
  std::string bytes;
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  put(bytes, 0, header);
  std::string segment;
  put(segment, 0, Elf64_Nhdr{4, 6, 3});
  segment += std::string("GNU\0abcdef\0\0", 12);
  const std::size_t at = segment.size();
  put(segment, at, Elf64_Nhdr{7, sizeof(PluginNote), 1});
  segment += std::string("Rideau\0\0", 8);
  PluginNote note{};
  note.kind = 2;
  note.abi_major = RIDEAU_ABI_MAJOR;
  note.abi_minor = RIDEAU_ABI_MINOR;
  std::memset(note.build_tag, 't', sizeof note.build_tag);  // without a zero
  put(segment, segment.size(), note);
  Elf64_Phdr part{};
  part.p_type = PT_NOTE;
  part.p_offset = kSegmentAt;
  part.p_filesz = segment.size();
  part.p_align = 4;
  put(bytes, sizeof header, part);
  return bytes + segment;
}

}  // namespace

TEST_CASE("a note is found behind another one") {
  const File file;
  const NoteResult result = file.read_back(good_file());
  INFO(result.message);
  REQUIRE(result.ok());
  CHECK(result.note.kind == 2);
  CHECK(std::string(result.note.build_tag).size() == sizeof result.note.build_tag - 1);
}

TEST_CASE("every shorter file is refused") {
  const File file;
  const std::string whole = good_file();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const NoteResult result = file.read_back(whole.substr(0, size));
    CHECK(result.status.code == Code::invalid);
    CHECK_FALSE(result.message.empty());
  }
}

TEST_CASE("sizes and offsets that lie are refused") {
  const File file;
  const auto refuse = [&](auto change) {
    std::string bytes = good_file();
    auto* header = reinterpret_cast<Elf64_Ehdr*>(bytes.data());
    auto* part = reinterpret_cast<Elf64_Phdr*>(bytes.data() + sizeof *header);
    auto* other = reinterpret_cast<Elf64_Nhdr*>(bytes.data() + kSegmentAt);
    change(*header, *part, *other);
    const NoteResult result = file.read_back(bytes);
    INFO(result.message);
    CHECK(result.status.code == Code::invalid);
  };
  refuse([](auto& header, auto&, auto&) { header.e_phoff = UINT64_MAX - 8; });
  refuse([](auto& header, auto&, auto&) { header.e_phnum = 0xffff; });
  refuse([](auto& header, auto&, auto&) { header.e_phentsize = 1; });
  refuse([](auto& header, auto&, auto&) { header.e_type = ET_EXEC; });
  refuse([](auto& header, auto&, auto&) { header.e_ident[EI_CLASS] = ELFCLASS32; });
  refuse([](auto& header, auto&, auto&) { header.e_ident[EI_DATA] = ELFDATA2MSB; });
  refuse([](auto&, auto& part, auto&) { part.p_offset = UINT64_MAX; });
  refuse([](auto&, auto& part, auto&) { part.p_filesz = UINT64_MAX; });
  refuse([](auto&, auto& part, auto&) { part.p_filesz += 1; });
  refuse([](auto&, auto&, auto& other) { other.n_namesz = UINT32_MAX; });
  refuse([](auto&, auto&, auto& other) { other.n_descsz = UINT32_MAX; });
}

TEST_CASE("any flipped bytes end in an answer") {
  const File file;
  std::mt19937_64 random(5);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good_file();
    for (int i = 0; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    const NoteResult result = file.read_back(bytes);
    CHECK(result.ok() == result.message.empty());
  }
}

TEST_CASE("what is no regular file is refused") {
  CHECK(read_plugin_note("/").status.code == Code::io_error);
  CHECK(read_plugin_note("/dev/zero").status.code == Code::io_error);
  CHECK(read_plugin_note("/nowhere/at/all.so").status.code == Code::not_found);
}
