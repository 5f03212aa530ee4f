#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace anybind {

/// A file that only grows.
class Log {
 public:
  Log() = default;
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  virtual ~Log() = default;
  /// Not durable: when the machine stops, any part of what was appended may be missing. It survives
  /// the end of this process.
  virtual Reply<void> append(std::string_view bytes) = 0;
};

/// A small directory of files that must survive a crash of this process: what anybind has to
/// remember between two commands.
class Storage {
 public:
  static constexpr std::size_t kMaxFile = 16U << 20;

  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  virtual ~Storage() = default;

  /// May what is there be believed? kNotPermitted, with the reason: the directory or one of its
  /// files belongs to another user than root and this process's, or others may write to it, or it
  /// is no directory, no regular file. All calls below then fail too (EPERM).
  virtual Result<> usable() { return {}; }

  /// The whole file; nullopt when it is not there. EFBIG past kMaxFile.
  virtual Reply<std::optional<std::string>> read(std::string_view name) = 0;

  /// Replaces the file in one step and durably: after a crash it holds the old bytes or the new
  /// ones, and when it fails nothing else is left.
  virtual Reply<void> replace(std::string_view name, std::string_view bytes) = 0;

  /// A new file (EEXIST when it is there), durable with these bytes: in the file and in the
  /// directory. Before that, and when it fails, it is not there.
  virtual Reply<std::unique_ptr<Log>> create(std::string_view name, std::string_view bytes) = 0;
  /// Goes on with a file that is there.
  virtual Reply<std::unique_ptr<Log>> open_log(std::string_view name) = 0;

  /// Gives a file another name, in one step and durably.
  virtual Reply<void> rename(std::string_view from, std::string_view to) = 0;

  /// The names of all files, sorted; none when the directory is not there.
  virtual Reply<std::vector<std::string>> list() = 0;

  /// Removes the file, durably; no error when it is not there.
  virtual Reply<void> remove(std::string_view name) = 0;

  /// Takes the lock of this directory, and holds it until unlock(), or until this object goes.
  /// `owner` is shown to others who want it, behind the number of this process ("1234 anybind bind
  /// ..."). While another process has it, `wait` is told its owner, several times a second, and
  /// true means to go on waiting; EWOULDBLOCK after false. Called before the first read that
  /// a later write depends on.
  using Wait = std::function<bool(const std::string& owner)>;
  virtual Reply<void> lock(std::string_view owner, const Wait& wait) = 0;
  /// Does some process hold it now? False where nobody else can.
  virtual bool is_locked() { return false; }
  /// Gives it back before this object goes; nothing when it is not held. Throws nothing.
  virtual void unlock() noexcept {}
};

/// Who may read what is stored: others than its owner never write to it.
enum class Readers : std::uint8_t { kOwner, kAll };

/// The directory `path` of this machine, made when it is first written to. Nothing is
/// touched before that: reading from a directory that is not there finds nothing. It is held from
/// its first use on.
[[nodiscard]] std::unique_ptr<Storage> open_storage(std::string path,
                                                    Readers readers = Readers::kOwner);

/// A whole file, anybody's, also through a link or from a pipe; nullopt when it is not there, EFBIG
/// past Storage::kMaxFile.
[[nodiscard]] Reply<std::optional<std::string>> read_whole(const std::string& path);

/// Kept in memory only, for tests and for a lab whose state nobody asked to keep.
[[nodiscard]] std::unique_ptr<Storage> memory_storage();

}  // namespace anybind
