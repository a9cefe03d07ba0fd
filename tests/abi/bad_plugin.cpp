// SPDX-License-Identifier: Apache-2.0
// A plugin with one fault, chosen by a definition; without one it is a correct index store that holds nothing.
#ifdef OTHER_BUILD_TAG
#define RIDEAU_BUILD_TAG "some-other-world"
#endif
#include "rideau/sdk.hpp"

#ifdef OTHER_ABI
#undef RIDEAU_ABI_MAJOR
#undef RIDEAU_ABI_MINOR
#define RIDEAU_ABI_MAJOR 0
#define RIDEAU_ABI_MINOR 3
#endif
#ifdef NEWER_ABI
constexpr std::uint32_t kNewerMinor = RIDEAU_ABI_MINOR + 1;
#undef RIDEAU_ABI_MINOR
#define RIDEAU_ABI_MINOR kNewerMinor
#endif

// Shows that a refused library was not even loaded: the test asks whether this ran.
#include <cstdlib>
namespace {
const struct Loaded {
  Loaded() { setenv("RIDEAU_TEST_LOADED", PLUGIN_NAME, 1); }
} loaded;
}  // namespace

#ifdef UNRESOLVED
extern "C" void a_function_that_nobody_has();
#endif

namespace {

using namespace rideau;

class EmptyStore final : public IndexStore {
 public:
  explicit EmptyStore(Host& host) : host_(host) {}

  Submitted start(Completion& done) noexcept override {
#ifdef FAILS_IN_START
    host_.log(Level::error, "the moon is in the wrong phase");
    return done.finish({Code::io_error, 5, "open the store"});
#endif
    return done.finish(kOk);
  }
  Submitted stop(Completion& done) noexcept override {
#ifdef SLOW_IN_STOP
    static_cast<void>(done);
    return Submitted::pending;  // and never completes
#endif
    return done.finish(kOk);
  }
  void cancel(Completion&) noexcept override {}
  void destroy() noexcept override { delete this; }
  IndexLimits limits() const noexcept override { return {16, 16, 64}; }
  Status snapshot(Snapshot**) noexcept override { return {Code::busy, 0, "snapshot"}; }
  Submitted commit(IndexBatch*, std::uint32_t, Durability, Completion& done) noexcept override {
    return done.finish({Code::no_space, 0, "commit"});
  }
  Status space(IndexSpace* out) noexcept override {
    *out = {};
    return kOk;
  }

 private:
  [[maybe_unused]] Host& host_;
};

Status create([[maybe_unused]] Host& host, const ConfigValue*, [[maybe_unused]] Instance** out) noexcept {
#ifdef UNRESOLVED
  a_function_that_nobody_has();
#endif
#ifdef FAILS_IN_CREATE
  host.log(Level::error, "the folder has the wrong colour");
  return {Code::invalid, 22, "look at the folder"};
#else
  *out = new EmptyStore(host);
  return kOk;
#endif
}

const PluginDescriptor kDescriptor = {
#if defined(SMALL_DESCRIPTOR)
    .descriptor_size = 16,
#elif defined(LARGE_DESCRIPTOR)
    .descriptor_size = 4096,
#endif
    .kind = PluginKind::index_store,
    .name = PLUGIN_NAME,
    .version = "1",
    .summary = "for tests",
#ifdef OTHER_MINOR_IN_DESCRIPTOR
    .abi_minor = 77,
#endif
    .create = create,
};

}  // namespace

#if defined(NO_NOTE)
extern "C" {
extern const PluginDescriptor* const rideau_plugin_descriptor __attribute__((visibility("default")));
const PluginDescriptor* const rideau_plugin_descriptor = &kDescriptor;
}
#elif defined(NO_SYMBOL)
#define rideau_plugin_descriptor a_descriptor_under_another_name
RIDEAU_PLUGIN(PluginKind::index_store, kDescriptor);
#elif defined(OTHER_KIND_IN_NOTE)
RIDEAU_PLUGIN(PluginKind::transport, kDescriptor);
#else
RIDEAU_PLUGIN(PluginKind::index_store, kDescriptor);
#endif
