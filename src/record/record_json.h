#pragma once

#include <optional>
#include <string>
#include <string_view>

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

// Writing appends text: trees of nlohmann::json, where each key and value is allocated twice, cost
// more than all else that a change computes.

/// `text` as a JSON string; bytes that are not UTF-8 become U+FFFD.
void append_json(std::string& out, std::string_view text);
void append_json_or_null(std::string& out, const std::optional<std::string>& text);
void append_json_or_null(std::string& out, const std::optional<DriverName>& driver);
/// The members of an object, without its braces: callers have more to add.
void append_members(std::string& out, const DeviceRecord& record);

/// Throws nlohmann::json::exception when keys are missing or of another kind; kUsage when a name is
/// not possible.
[[nodiscard]] Result<DeviceRecord> record_from_json(const nlohmann::json& row);

[[nodiscard]] std::optional<std::string> text_from_json(const nlohmann::json& value);
[[nodiscard]] Result<std::optional<DriverName>> driver_from_json(const nlohmann::json& value);

}  // namespace anybind
