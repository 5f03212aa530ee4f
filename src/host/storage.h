#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace anybind {

/// A small directory of files that must survive a crash of this process: what anybind has to
/// remember between two commands.
class Storage {
 public:
  static constexpr std::size_t kMaxFile = 16U << 20;

  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  virtual ~Storage() = default;

  /// The whole file; nullopt when it is not there. EFBIG past kMaxFile.
  virtual Reply<std::optional<std::string>> read(std::string_view name) = 0;

  /// Replaces the file in one step and durably: after a crash it holds the old bytes or the new
  /// ones.
  virtual Reply<void> replace(std::string_view name, std::string_view bytes) = 0;

  /// Removes the file; no error when it is not there.
  virtual Reply<void> remove(std::string_view name) = 0;

  /// Waits until no other process holds the lock of this directory, and holds it until this object
  /// goes. Blocks. Called once, before the first read that a later write depends on.
  virtual Reply<void> lock() = 0;
};

/// The directory `path` of this machine, made (0700) when it is first written to. Nothing is
/// touched before that: reading from a directory that is not there finds nothing.
[[nodiscard]] std::unique_ptr<Storage> open_storage(std::string path);

/// Kept in memory only, for tests and for a lab whose state nobody asked to keep.
[[nodiscard]] std::unique_ptr<Storage> memory_storage();

}  // namespace anybind
