#pragma once

#include <map>
#include <memory>
#include <string>

#include "host/storage.h"

namespace anybind {

/// A directory in memory that knows what would survive if the machine stopped now.
class MemoryStorage : public Storage {
 public:
  using Files = std::map<std::string, std::string, std::less<>>;

  Reply<std::optional<std::string>> read(std::string_view name) override;
  Reply<void> replace(std::string_view name, std::string_view bytes) override;
  Reply<std::unique_ptr<Log>> create(std::string_view name, std::string_view bytes) override;
  Reply<std::unique_ptr<Log>> open_log(std::string_view name) override;
  Reply<void> rename(std::string_view from, std::string_view to) override;
  Reply<std::vector<std::string>> list() override;
  Reply<void> remove(std::string_view name) override;
  Reply<void> lock(std::string_view owner, const Wait& wait) override;

  /// What was not synced is lost, but for the first `kept` bytes of each log's unsynced end.
  void lose_unsynced(std::size_t kept = 0);

  /// As after a sync of everything.
  void sync() { durable_ = *files_; }

  [[nodiscard]] const Files& files() const { return *files_; }

 private:
  std::shared_ptr<Files> files_ = std::make_shared<Files>();
  Files durable_;
};

}  // namespace anybind
