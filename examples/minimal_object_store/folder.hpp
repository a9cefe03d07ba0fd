// SPDX-License-Identifier: Apache-2.0
// The objects as files of a folder: HIGH-LOW in hexadecimal digits, so that their names sort as their ids do. The only
// part of this plugin that makes system calls; all of them block, except those of space().
#pragma once

#include <rideau/object_store.hpp>

#include <atomic>
#include <string>
#include <vector>

namespace minimal {

class Folder {
 public:
  Folder() = default;
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();

  // Makes it when its parent exists. exists: another instance has it.
  rideau::Status open(const std::string& path);
  rideau::Status read(rideau::ObjectId id, std::uint64_t offset, std::vector<rideau::IoVec> parts,
                      std::uint64_t* bytes);
  rideau::Status write(rideau::ObjectId id, std::uint64_t offset, std::vector<rideau::IoVec> parts,
                       std::uint64_t* bytes);
  rideau::Status truncate(rideau::ObjectId id, std::uint64_t size);
  rideau::Status remove(rideau::ObjectId id);
  rideau::Status stat(rideau::ObjectId id, rideau::ObjectStat* out);
  // In ascending order.
  rideau::Status list(const rideau::ObjectId* after, std::uint32_t count, std::vector<rideau::ObjectId>* out);
  rideau::Status flush(const std::vector<rideau::ObjectId>& ids);  // empty: everything
  rideau::Status space(rideau::ObjectSpace* out);

 private:
  int lock_ = -1;  // held while the folder is ours
  int folder_ = -1;
  std::atomic<std::uint64_t> count_{0};  // of objects; jobs of several threads make and remove them

  rideau::Status open_for_writing(rideau::ObjectId id, int* file);
};

}  // namespace minimal
