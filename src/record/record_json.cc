#include "record/record_json.h"

#include <iterator>

#include <fmt/compile.h>
#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"

namespace anybind {

using nlohmann::json;

void append_json(std::string& out, std::string_view text) {
  if (!is_printable_ascii(text) || text.find_first_of("\"\\") != std::string_view::npos) {
    out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

void append_json_or_null(std::string& out, const std::optional<std::string>& text) {
  if (!text) {
    out += "null";
    return;
  }
  append_json(out, *text);
}

void append_json_or_null(std::string& out, const std::optional<DriverName>& driver) {
  append_json_or_null(out, driver ? std::optional(driver->str()) : std::nullopt);
}

void append_members(std::string& out, const DeviceRecord& record) {
  out += R"("bus":)";
  append_json(out, record.device.bus.str());
  out += R"(,"device":)";
  append_json(out, record.device.name.str());
  fmt::format_to(std::back_inserter(out), FMT_COMPILE(R"(,"instance":[{},{}],"driver":)"),
                 record.instance.device, record.instance.inode);
  append_json_or_null(out, record.binding.driver);
  out += R"(,"driver_override":)";
  append_json_or_null(out, record.binding.driver_override);
}

std::optional<std::string> text_from_json(const json& value) {
  if (value.is_null()) return std::nullopt;
  return value.get<std::string>();
}

Result<std::optional<DriverName>> driver_from_json(const json& value) {
  if (value.is_null()) return std::nullopt;
  return TRY(DriverName::parse(value.get<std::string>()));
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
