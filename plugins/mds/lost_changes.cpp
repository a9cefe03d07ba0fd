// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/lost_changes.hpp"

#include "plugins/fs/codec.hpp"

namespace rideau::mds {

using namespace fs;

namespace {

// When the change was made: the time that it gave to `changed`.
template <class Reply>
Status read_time(Bytes answer, Inode Reply::*changed, Lost* to) {
  Reply reply;
  const Status status = decode(answer, &reply);
  to->now_ns = (reply.*changed).ctime_ns;
  return status;
}

}  // namespace

Status read_answer(const MakeRequest&, Bytes answer, Lost* to) {
  MakeReply reply;
  if (const Status status = decode(answer, &reply); !status.ok()) return status;
  if (!reply.existed) to->now_ns = reply.inode.birth_ns;
  to->made = std::move(reply.inode);
  return kOk;
}

Status read_answer(const SetAttributesRequest&, Bytes answer, Lost* to) {
  return read_time(answer, &InodeReply::inode, to);
}
Status read_answer(const OpenRequest&, Bytes answer, Lost* to) { return read_time(answer, &OpenReply::inode, to); }
Status read_answer(const LinkRequest&, Bytes answer, Lost* to) { return read_time(answer, &InodeReply::inode, to); }
Status read_answer(const RemoveRequest&, Bytes answer, Lost* to) { return read_time(answer, &RemoveReply::parent, to); }
Status read_answer(const RenameRequest&, Bytes answer, Lost* to) { return read_time(answer, &RenameReply::inode, to); }

}  // namespace rideau::mds
