// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/lost_changes.hpp"

#include "plugins/fs/codec.hpp"

namespace rideau::mds {

using namespace fs;

Status read_answer(const MakeRequest&, Bytes answer, Lost* to) {
  MakeReply reply;
  if (const Status status = decode(answer, &reply); !status.ok()) return status;
  if (!reply.existed) to->now_ns = reply.inode.birth_ns;
  to->made = std::move(reply.inode);
  return kOk;
}

Status read_answer(const SetAttributesRequest&, Bytes answer, Lost* to) {
  InodeReply reply;
  const Status status = decode(answer, &reply);
  to->now_ns = reply.inode.ctime_ns;
  return status;
}

Status read_answer(const OpenRequest&, Bytes answer, Lost* to) {
  OpenReply reply;
  const Status status = decode(answer, &reply);
  to->now_ns = reply.inode.ctime_ns;
  return status;
}

Status read_answer(const LinkRequest&, Bytes answer, Lost* to) {
  InodeReply reply;
  const Status status = decode(answer, &reply);
  to->now_ns = reply.inode.ctime_ns;
  return status;
}

Status read_answer(const RemoveRequest&, Bytes answer, Lost* to) {
  RemoveReply reply;
  const Status status = decode(answer, &reply);
  to->now_ns = reply.parent.ctime_ns;
  return status;
}

Status read_answer(const RenameRequest&, Bytes answer, Lost* to) {
  RenameReply reply;
  const Status status = decode(answer, &reply);
  to->now_ns = reply.inode.ctime_ns;
  return status;
}

}  // namespace rideau::mds
