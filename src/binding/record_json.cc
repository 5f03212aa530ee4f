#include "binding/record_json.h"
#include "base/try.h"

namespace anybind {

using nlohmann::json;

json to_json(const std::optional<std::string>& text) {
  return text ? json(*text) : json(nullptr);
}

json to_json(const std::optional<DriverName>& driver) {
  return driver ? json(driver->str()) : json(nullptr);
}

std::optional<std::string> text_from_json(const json& value) {
  if (value.is_null()) return std::nullopt;
  return value.get<std::string>();
}

Result<std::optional<DriverName>> driver_from_json(const json& value) {
  if (value.is_null()) return std::nullopt;
  return TRY(DriverName::parse(value.get<std::string>()));
}

json to_json(const DeviceRecord& record) {
  return {{"bus", record.device.bus.str()},
          {"device", record.device.name.str()},
          {"instance", {record.instance.device, record.instance.inode}},
          {"driver", to_json(record.binding.driver)},
          {"driver_override", to_json(record.binding.driver_override)}};
}

Result<DeviceRecord> record_from_json(const json& row) {
  return DeviceRecord{
      .device = {.bus = TRY(BusName::parse(row.at("bus").get<std::string>())),
                 .name = TRY(DeviceName::parse(row.at("device").get<std::string>()))},
      .instance = {.device = row.at("instance").at(0).get<std::uint64_t>(),
                   .inode = row.at("instance").at(1).get<std::uint64_t>()},
      .binding = {.driver = TRY(driver_from_json(row.at("driver"))),
                  .has_override = true,
                  .driver_override = text_from_json(row.at("driver_override"))}};
}

}  // namespace anybind
