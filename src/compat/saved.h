#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/storage.h"

namespace anybind::compat {

/// The overrides that driverctl has saved: in /etc/driverctl.d one file a device, BUS-DEVICE, with
/// the name of its driver. What cannot be one line of text with such a name is as if it were not
/// there.
class Saved {
 public:
  Saved();

  /// Those of a bus, by name. kNotPermitted: others than root may write there.
  [[nodiscard]] Result<std::vector<std::pair<DeviceId, std::string>>> all(const BusName& bus);
  /// nullopt: none is saved.
  [[nodiscard]] Result<std::optional<std::string>> of(const DeviceId& device);
  /// Durable when it returns.
  [[nodiscard]] Result<> save(const DeviceId& device, const std::string& driver);
  /// No error when none is saved.
  [[nodiscard]] Result<> forget(const DeviceId& device);
  /// Can something be saved here? Asked before a change whose override shall be saved.
  [[nodiscard]] Result<> usable();

 private:
  std::unique_ptr<Storage> files_;
};

}  // namespace anybind::compat
