#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/storage.h"
#include "host/sysfs.h"
#include "inventory/device.h"
#include "plan/origin.h"

namespace anybind {

/// The memory behind `restore`: for each device that anybind has changed and not yet restored, what
/// it was. Written durably before the first write to the device, so that it is not lost when we are
/// killed. One small file ("origins.json", docs/state.md); kernel state ends with the boot, and so
/// does this: a record of another boot is void, and so is that of a card which is no longer there.
class Origins {
 public:
  /// Reads what `storage` holds. `boot_id` names this boot. A file that cannot be understood is an
  /// error (kFailed), never silently an empty memory.
  [[nodiscard]] static Result<Origins> load(Storage& storage, std::string boot_id);

  /// As where there is no file.
  [[nodiscard]] static Origins none(Storage& storage, std::string boot_id) {
    return {storage, std::move(boot_id)};
  }

  [[nodiscard]] const OriginTable& table() const { return origins_; }
  /// nullopt when nothing is known of this instance.
  [[nodiscard]] std::optional<Origin> find(const DeviceId& device, const Instance& instance) const;

  /// Keeps what is there for the same instance: the first change counts. Not yet durable.
  void remember(const DeviceId& device, const Origin& origin);
  /// Not yet durable.
  void forget(const DeviceId& device);

  /// Makes it durable, if anything changed. kNotPermitted, or kFailed (no space, read-only).
  [[nodiscard]] Result<> save();

 private:
  Origins(Storage& storage, std::string boot_id)
      : storage_(storage), boot_id_(std::move(boot_id)) {}

  Storage& storage_;
  std::string boot_id_;
  OriginTable origins_;
  bool changed_ = false;
};

}  // namespace anybind
