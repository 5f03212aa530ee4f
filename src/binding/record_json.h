#pragma once

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"
#include "inventory/device.h"

namespace anybind {

/// A device, which instance of it, and what drives it: how the files of docs/state.md and
/// docs/journal-format.md say it.
struct DeviceRecord {
  DeviceId device;
  Instance instance;
  Binding binding;
};

[[nodiscard]] nlohmann::json to_json(const DeviceRecord& record);

/// Throws nlohmann::json::exception when keys are missing or of another kind; kUsage when a name is
/// not possible.
[[nodiscard]] Result<DeviceRecord> record_from_json(const nlohmann::json& row);

[[nodiscard]] nlohmann::json to_json(const std::optional<std::string>& text);
[[nodiscard]] nlohmann::json to_json(const std::optional<DriverName>& driver);
[[nodiscard]] std::optional<std::string> text_from_json(const nlohmann::json& value);
[[nodiscard]] Result<std::optional<DriverName>> driver_from_json(const nlohmann::json& value);

}  // namespace anybind
