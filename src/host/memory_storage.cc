#include "host/memory_storage.h"

#include <cerrno>

namespace anybind {
namespace {

std::unexpected<Errno> error(int value) {
  return std::unexpected(Errno{value});
}

/// Follows its file only by name: nothing renames a file while its log is written.
class MemoryLog final : public Log {
 public:
  MemoryLog(std::shared_ptr<MemoryStorage::Files> files, std::string name)
      : files_(std::move(files)), name_(std::move(name)) {}
  Reply<void> append(std::string_view bytes) override {
    const auto found = files_->find(name_);
    if (found != files_->end()) found->second += bytes;
    return {};
  }

 private:
  std::shared_ptr<MemoryStorage::Files> files_;
  std::string name_;
};

}  // namespace

Reply<std::optional<std::string>> MemoryStorage::read(std::string_view name) {
  const auto found = files_->find(name);
  if (found == files_->end()) return std::nullopt;
  return found->second;
}

Reply<void> MemoryStorage::replace(std::string_view name, std::string_view bytes) {
  files_->insert_or_assign(std::string(name), std::string(bytes));
  durable_.insert_or_assign(std::string(name), std::string(bytes));
  return {};
}

Reply<std::unique_ptr<Log>> MemoryStorage::create(std::string_view name, std::string_view bytes) {
  if (files_->contains(name)) return error(EEXIST);
  (void)MemoryStorage::replace(name, bytes);  // not that of a derived class, which may fail
  return std::make_unique<MemoryLog>(files_, std::string(name));
}

Reply<std::unique_ptr<Log>> MemoryStorage::open_log(std::string_view name) {
  if (!files_->contains(name)) return error(ENOENT);
  return std::make_unique<MemoryLog>(files_, std::string(name));
}

/// The name is synced, what was appended before is not.
Reply<void> MemoryStorage::rename(std::string_view from, std::string_view to) {
  for (Files* files : {files_.get(), &durable_}) {
    const auto found = files->find(from);
    if (found == files->end()) return error(ENOENT);
    files->insert_or_assign(std::string(to), std::move(found->second));
    files->erase(found);
  }
  return {};
}

Reply<std::vector<std::string>> MemoryStorage::list() {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : *files_) names.push_back(name);
  return names;
}

Reply<void> MemoryStorage::remove(std::string_view name) {
  if (const auto found = files_->find(name); found != files_->end()) files_->erase(found);
  return {};
}

Reply<void> MemoryStorage::lock(std::string_view /*owner*/, const Wait& /*wait*/) {
  return {};
}

void MemoryStorage::lose_unsynced(std::size_t kept) {
  for (auto& [name, bytes] : durable_) {
    const auto now = files_->find(name);
    if (now != files_->end() && now->second.starts_with(bytes)) {
      bytes = now->second.substr(0, bytes.size() + kept);
    }
  }
  *files_ = durable_;
}

std::unique_ptr<Storage> memory_storage() {
  return std::make_unique<MemoryStorage>();
}

}  // namespace anybind
