// SPDX-License-Identifier: Apache-2.0
// Operations that wait: each begins itself and waits for its answer.
#include "plugins/library/client_impl.hpp"

namespace rideau {

auto Client::lookup(const Caller& caller, InodeId directory, std::string_view name) -> Result<Attributes> {
  return impl_->wait<Result<Attributes>>([&](auto done) { lookup(caller, directory, name, std::move(done)); });
}

auto Client::find(const Caller& caller, std::string_view path) -> Result<Attributes> {
  return impl_->wait<Result<Attributes>>([&](auto done) { find(caller, path, std::move(done)); });
}

auto Client::make_directory(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode)
    -> Result<Attributes> {
  return impl_->wait<Result<Attributes>>(
      [&](auto done) { make_directory(caller, directory, name, mode, std::move(done)); });
}

auto Client::make_node(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode,
                       std::uint64_t device) -> Result<Attributes> {
  return impl_->wait<Result<Attributes>>(
      [&](auto done) { make_node(caller, directory, name, mode, device, std::move(done)); });
}

auto Client::make_symlink(const Caller& caller, InodeId directory, std::string_view name, std::string_view target)
    -> Result<Attributes> {
  return impl_->wait<Result<Attributes>>(
      [&](auto done) { make_symlink(caller, directory, name, target, std::move(done)); });
}

auto Client::read_link(InodeId inode) -> Result<std::string> {
  return impl_->wait<Result<std::string>>([&](auto done) { read_link(inode, std::move(done)); });
}

auto Client::link(const Caller& caller, InodeId inode, InodeId directory, std::string_view name) -> Result<Attributes> {
  return impl_->wait<Result<Attributes>>([&](auto done) { link(caller, inode, directory, name, std::move(done)); });
}

Client::Status Client::unlink(const Caller& caller, InodeId directory, std::string_view name) {
  return impl_->wait<Status>([&](auto done) { unlink(caller, directory, name, std::move(done)); });
}

Client::Status Client::remove_directory(const Caller& caller, InodeId directory, std::string_view name) {
  return impl_->wait<Status>([&](auto done) { remove_directory(caller, directory, name, std::move(done)); });
}

Client::Status Client::rename(const Caller& caller, InodeId old_directory, std::string_view old_name,
                              InodeId new_directory, std::string_view new_name, std::uint32_t flags) {
  return impl_->wait<Status>(
      [&](auto done) { rename(caller, old_directory, old_name, new_directory, new_name, flags, std::move(done)); });
}

auto Client::read_directory(InodeId directory, std::uint64_t after, std::uint32_t entries_max, bool attributes)
    -> Result<std::vector<Entry>> {
  return impl_->wait<Result<std::vector<Entry>>>(
      [&](auto done) { read_directory(directory, after, entries_max, attributes, std::move(done)); });
}

auto Client::get_attributes(InodeId inode) -> Result<Attributes> {
  return impl_->wait<Result<Attributes>>([&](auto done) { get_attributes(inode, std::move(done)); });
}

auto Client::set_attributes(const Caller& caller, InodeId inode, const Change& change) -> Result<Attributes> {
  return impl_->wait<Result<Attributes>>([&](auto done) { set_attributes(caller, inode, change, std::move(done)); });
}

auto Client::get_attribute(const Caller& caller, InodeId inode, std::string_view name) -> Result<std::string> {
  return impl_->wait<Result<std::string>>([&](auto done) { get_attribute(caller, inode, name, std::move(done)); });
}

Client::Status Client::set_attribute(const Caller& caller, InodeId inode, std::string_view name, std::string_view value,
                                     std::uint32_t flags) {
  return impl_->wait<Status>([&](auto done) { set_attribute(caller, inode, name, value, flags, std::move(done)); });
}

auto Client::list_attributes(const Caller& caller, InodeId inode) -> Result<std::vector<std::string>> {
  return impl_->wait<Result<std::vector<std::string>>>(
      [&](auto done) { list_attributes(caller, inode, std::move(done)); });
}

Client::Status Client::remove_attribute(const Caller& caller, InodeId inode, std::string_view name) {
  return impl_->wait<Status>([&](auto done) { remove_attribute(caller, inode, name, std::move(done)); });
}

auto Client::create(const Caller& caller, InodeId directory, std::string_view name, std::uint32_t mode,
                    std::uint32_t flags) -> Result<File> {
  return impl_->wait<Result<File>>([&](auto done) { create(caller, directory, name, mode, flags, std::move(done)); });
}

auto Client::open(const Caller& caller, InodeId inode, std::uint32_t flags) -> Result<File> {
  return impl_->wait<Result<File>>([&](auto done) { open(caller, inode, flags, std::move(done)); });
}

auto Client::read(HandleId handle, std::uint64_t offset, void* to, std::size_t size) -> Result<std::size_t> {
  return impl_->wait<Result<std::size_t>>([&](auto done) { read(handle, offset, to, size, std::move(done)); });
}

auto Client::write(HandleId handle, std::uint64_t offset, const void* from, std::size_t size) -> Result<std::size_t> {
  return impl_->wait<Result<std::size_t>>([&](auto done) { write(handle, offset, from, size, std::move(done)); });
}

Client::Status Client::fsync(HandleId handle) {
  return impl_->wait<Status>([&](auto done) { fsync(handle, std::move(done)); });
}

Client::Status Client::close(HandleId handle) {
  return impl_->wait<Status>([&](auto done) { close(handle, std::move(done)); });
}

Client::Status Client::sync_directory(InodeId directory) {
  return impl_->wait<Status>([&](auto done) { sync_directory(directory, std::move(done)); });
}

Client::Status Client::sync() {
  return impl_->wait<Status>([&](auto done) { sync(std::move(done)); });
}

auto Client::stat_file_system() -> Result<Space> {
  return impl_->wait<Result<Space>>([&](auto done) { stat_file_system(std::move(done)); });
}

}  // namespace rideau
