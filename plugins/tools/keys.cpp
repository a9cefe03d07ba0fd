// SPDX-License-Identifier: Apache-2.0
// `rideau keys`: makes the keys of a cluster, and shows them so that two people can compare what they have.
#include "plugins/tools/cluster_keys.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/key_maker.hpp"

#include "framework/runtime/real_runtime.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace rideau::tools {
namespace {

constexpr std::int64_t kSecondsOfDay = 86'400;
constexpr std::int64_t kSoonDays = 30;

int fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  return kFailed;
}

// In two lines of eight groups.
void print_fingerprint(const std::string& text) {
  const std::size_t half = text.size() / 2;
  std::printf("    %s\n    %s\n", text.substr(0, half).c_str(), text.substr(half + 1).c_str());
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Prints one certificate; false when somebody should do something about it.
bool show_certificate(const std::string& file, const std::string& pem, const std::string& authority_pem,
                      std::int64_t now_s) {
  CertificateFacts facts;
  std::string why;
  if (!read_certificate(pem, &facts, &why)) {
    std::printf("%s: %s\n", file.c_str(), why.c_str());
    return false;
  }
  std::string what = "authority";
  if (!facts.is_authority) what = facts.addresses.empty() ? "client" : "node at " + joined(facts.addresses);
  std::printf("%s: %s, %s, until %s\n", file.c_str(), facts.name.c_str(), what.c_str(), facts.end_date.c_str());
  print_fingerprint(facts.fingerprint);
  const std::int64_t days = (facts.ends_s - now_s) / kSecondsOfDay;
  std::vector<std::string> problems;
  if (facts.ends_s <= now_s) {
    problems.push_back("it has expired: nobody accepts it");
  } else if (days < kSoonDays) {
    problems.push_back("it ends in " + std::to_string(days) + " days");
  }
  if (!facts.is_authority && !authority_pem.empty() && !is_made_by(pem, authority_pem)) {
    problems.push_back("it was made by \"" + facts.issuer + "\", which is not the authority beside it");
  }
  for (const std::string& problem : problems) std::printf("    ! %s\n", problem.c_str());
  return problems.empty();
}

bool show_file(const std::string& file, std::int64_t now_s) {
  std::string text;
  std::string why;
  if (!read_key_file(file, &text, &why)) {
    std::printf("%s\n", why.c_str());
    return false;
  }
  const std::string first_line = text.substr(0, text.find('\n'));
  if (const std::string open = curve_public(first_line); !open.empty()) {
    std::printf("%s: CURVE, public key %s\n", file.c_str(), open.c_str());
    return true;
  }
  const std::string beside = std::filesystem::path(file).parent_path() / kAuthorityCertificate;
  std::string authority;
  static_cast<void>(read_key_file(beside, &authority, &why));
  return show_certificate(file, text, authority, now_s);
}

std::vector<std::string> certificates_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    const std::filesystem::path& path = entry.path();
    if (path.extension() == ".pem" || path.extension() == ".curve") files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int make_authority_keys(const KeysOptions& options) {
  RealRuntime runtime;
  std::string why;
  const std::int64_t days = options.days > 0 ? options.days : kAuthorityDays;
  const std::string name = options.name.empty() ? "Rideau cluster" : options.name;
  if (!make_authority_files(options.folder, name, {now_seconds(runtime), days}, &why)) return fail(why);
  const std::string file = options.folder + "/" + kAuthorityCertificate;
  const bool fine = show_file(file, now_seconds(runtime));
  std::printf("Keep %s/%s off the nodes: who has it can make keys. Nodes need %s alone.\n", options.folder.c_str(),
              kAuthorityKey, kAuthorityCertificate);
  return fine ? kDone : kFailed;
}

int make_node_keys(const KeysOptions& options) {
  if (options.addresses.empty() != options.client) {
    std::fprintf(stderr, options.client ? "a client's key has no address: leave out --client, or --address\n"
                                        : "--address HOST (each name and number by which others reach the node), or "
                                          "--client for machines that only mount\n");
    return kUsage;
  }
  RealRuntime runtime;
  std::string why;
  NodeKeyWish wish;
  wish.name = options.name;
  wish.addresses = options.addresses;
  wish.lifetime = {now_seconds(runtime), options.days > 0 ? options.days : kNodeDays};
  if (!make_node_files(options.folder, wish, &why)) return fail(why);
  const std::string stem = options.folder + "/" + options.name;
  const bool fine = show_file(stem + ".pem", now_seconds(runtime));
  std::printf("Copy %s.pem, %s.key and %s to the node; `chown` the key to the user that runs it.\n", stem.c_str(),
              stem.c_str(), kAuthorityCertificate);
  return fine ? kDone : kFailed;
}

int make_curve_key(const std::string& file) {
  std::string why;
  if (!make_curve_file(file, &why)) return fail(why);
  RealRuntime runtime;
  return show_file(file, now_seconds(runtime)) ? kDone : kFailed;
}

int show_keys(const std::vector<std::string>& paths) {
  RealRuntime runtime;
  bool fine = true;
  for (const std::string& path : paths) {
    std::error_code failed;
    if (!std::filesystem::is_directory(path, failed)) {
      fine &= show_file(path, now_seconds(runtime));
      continue;
    }
    const std::vector<std::string> files = certificates_in(path);
    if (files.empty()) std::printf("%s: no keys here\n", path.c_str());
    fine &= !files.empty();
    for (const std::string& file : files) fine &= show_file(file, now_seconds(runtime));
  }
  return fine ? kDone : kFailed;
}

}  // namespace rideau::tools
