// SPDX-License-Identifier: Apache-2.0
// What the answer to a lost change told its client, as far as it must come out the same when the change is made again.
#pragma once

#include "plugins/fs/meta_calls.hpp"
#include "plugins/mds/target.hpp"

namespace rideau::mds {

// The request names the kind of the answer.
Status read_answer(const fs::MakeRequest& request, Bytes answer, Lost* to);
Status read_answer(const fs::SetAttributesRequest& request, Bytes answer, Lost* to);
Status read_answer(const fs::OpenRequest& request, Bytes answer, Lost* to);
Status read_answer(const fs::LinkRequest& request, Bytes answer, Lost* to);
Status read_answer(const fs::RemoveRequest& request, Bytes answer, Lost* to);
Status read_answer(const fs::RenameRequest& request, Bytes answer, Lost* to);
// Answers without a body.
template <class Request>
Status read_answer(const Request&, Bytes, Lost*) {
  return kOk;
}

}  // namespace rideau::mds
