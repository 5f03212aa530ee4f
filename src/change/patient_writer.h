#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "change/listener.h"
#include "change/run_options.h"
#include "host/host.h"
#include "host/sysfs.h"
#include "record/journal.h"

namespace anybind {

/// A write that did not return in time, of a device.
struct LeftWrite : Abandoned {
  std::string what{};  ///< "unbind"
};

/// Makes the writes of a run that belong to no step of a device of its own: settings, and what is
/// given back. All of them may have to wait for a driver or for the lock of a device.
class PatientWriter {
 public:
  /// Is told of each write that was left behind.
  using Told = std::function<void(const StuckWrite&)>;

  PatientWriter(const Host& host, const RunOptions& options, const Listener& listener, Told told)
      : host_(host), options_(options), listener_(listener), told_(std::move(told)) {}

  [[nodiscard]] const Host& host() const { return host_; }
  [[nodiscard]] const RunOptions& options() const { return options_; }

  /// On the way forward: somebody may ask to stop.
  Result<> write(Sysfs& dir, std::string_view path, std::string_view bytes,
                 const std::string& object) const {
    return write(dir, path, bytes, object, false);
  }
  /// While things are put back. `object` is what is written to, for a person. kIncomplete: it was
  /// left behind, and that was told; other errors are those of the write, "write" `object`.
  Result<> write_back(Sysfs& dir, std::string_view path, std::string_view bytes,
                      const std::string& object) const {
    return write(dir, path, bytes, object, true);
  }

 private:
  Result<> write(Sysfs& dir, std::string_view path, std::string_view bytes,
                 const std::string& object, bool back) const;

  const Host& host_;
  const RunOptions& options_;
  const Listener& listener_;
  Told told_;
};

/// Of a write that was left behind by `patience`. `holders`: who has the device open.
[[nodiscard]] Error left_behind_error(std::string operation, std::string object,
                                      const Abandoned& process, const Patience& patience,
                                      const std::vector<std::string>& holders, const Host& host);

/// For the journal.
[[nodiscard]] StuckWrite stuck_write(std::optional<std::size_t> device, const Abandoned& process,
                                     std::string what, bool back, const Host& host);

/// "process 812 waits in its unbind (vfio_unregister_group_dev)" for each write of `entry` that has
/// still not returned; with `device`, only those of that device.
[[nodiscard]] std::vector<std::string> still_waiting(const JournalEntry& entry, const Proc& proc,
                                                     const DeviceId* device = nullptr);

}  // namespace anybind
