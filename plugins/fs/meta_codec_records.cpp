// SPDX-License-Identifier: Apache-2.0
// Bodies of the calls by which the file system check reads the records of a running metadata target.
#include "plugins/fs/keys.hpp"
#include "plugins/fs/meta_codec_shared.hpp"

namespace rideau::fs {

namespace {
// Damaged keys are shown as well, so only what bounds a body bounds them in a reply.
constexpr std::size_t kKeyAskedMax = 2 * Key::kBytesMax;
}  // namespace

void encode(const ScanRecordsRequest& from, wire::Encoded& to) {
  encode_root<schema::ScanRecordsRequest>(to, [&](auto root) {
    root.setFrom(data_of(from.from));
    root.setCount(from.count);
  });
}
Status decode(Bytes body, ScanRecordsRequest* to) {
  return decode_root<schema::ScanRecordsRequest>(body, [to](auto root) {
    to->count = root.getCount();
    return to->count <= kRecordsPerCallMax && take_view(root.getFrom(), kKeyAskedMax, &to->from);
  });
}

void encode(const ScanRecordsReply& from, wire::Encoded& to) {
  encode_root<schema::ScanRecordsReply>(to, [&](auto root) {
    root.setTransaction(from.transaction);
    auto records = root.initRecords(static_cast<std::uint32_t>(from.records.size()));
    for (std::uint32_t i = 0; i < records.size(); ++i) {
      records[i].setKey(data_of(from.records[i].first));
      records[i].setValue(data_of(from.records[i].second));
    }
  });
}
Status decode(Bytes body, ScanRecordsReply* to) {
  return decode_root<schema::ScanRecordsReply>(body, [to](auto root) {
    to->transaction = root.getTransaction();
    const auto records = root.getRecords();
    if (records.size() > kRecordsPerCallMax) return false;
    to->records.assign(records.size(), {});
    for (std::uint32_t i = 0; i < records.size(); ++i) {
      auto& [key, value] = to->records[i];
      const bool good = take_copy(records[i].getKey(), limits::kBodyBytesMax, &key) &&
                        take_copy(records[i].getValue(), limits::kBodyBytesMax, &value);
      if (!good || key.empty()) return false;
    }
    return true;
  });
}

void encode(const GetRecordsRequest& from, wire::Encoded& to) {
  encode_root<schema::GetRecordsRequest>(to, [&](auto root) {
    auto keys = root.initKeys(static_cast<std::uint32_t>(from.keys.size()));
    for (std::uint32_t i = 0; i < keys.size(); ++i) keys.set(i, data_of(from.keys[i]));
  });
}
Status decode(Bytes body, GetRecordsRequest* to) {
  return decode_root<schema::GetRecordsRequest>(body, [to](auto root) {
    const auto keys = root.getKeys();
    if (keys.size() > kRecordsPerCallMax) return false;
    to->keys.assign(keys.size(), {});
    for (std::uint32_t i = 0; i < keys.size(); ++i) {
      if (!take_view(keys[i], kKeyAskedMax, &to->keys[i]) || to->keys[i].empty()) return false;
    }
    return true;
  });
}

void encode(const GetRecordsReply& from, wire::Encoded& to) {
  encode_root<schema::GetRecordsReply>(to, [&](auto root) {
    root.setTransaction(from.transaction);
    auto values = root.initValues(static_cast<std::uint32_t>(from.values.size()));
    for (std::uint32_t i = 0; i < values.size(); ++i) {
      if (!from.values[i]) continue;
      values[i].setPresent(true);
      values[i].setBytes(data_of(*from.values[i]));
    }
  });
}
Status decode(Bytes body, GetRecordsReply* to) {
  return decode_root<schema::GetRecordsReply>(body, [to](auto root) {
    to->transaction = root.getTransaction();
    const auto values = root.getValues();
    if (values.size() > kRecordsPerCallMax) return false;
    to->values.assign(values.size(), std::nullopt);
    for (std::uint32_t i = 0; i < values.size(); ++i) {
      if (!values[i].getPresent()) continue;
      if (!take_copy(values[i].getBytes(), limits::kBodyBytesMax, &to->values[i].emplace())) return false;
    }
    return true;
  });
}

}  // namespace rideau::fs
