#include "inventory/device.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace anybind {
namespace {

/// "8086:10D3" as two 16-bit numbers.
std::optional<std::pair<std::uint16_t, std::uint16_t>> id_pair(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto first = parse_hex(text.substr(0, colon), 0xFFFF);
  const auto second = parse_hex(text.substr(colon + 1), 0xFFFF);
  if (!first || !second) return std::nullopt;
  return std::pair{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*second)};
}

/// Takes what one line of `uevent` says into `out`. The first of several equal keys counts.
void take_line(Device& out, PciIds& ids, bool& has_ids, std::string_view line) {
  const auto equals = line.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view key = line.substr(0, equals);
  const std::string_view value = line.substr(equals + 1);
  if (key == "DRIVER") {
    if (auto name = DriverName::parse(value); name && !out.driver) out.driver = *std::move(name);
  } else if (key == "MODALIAS") {
    if (out.modalias.empty()) out.modalias = value;
  } else if (key == "PCI_CLASS") {
    ids.class_code = static_cast<std::uint32_t>(parse_hex(value, 0xFFFFFF).value_or(0));
  } else if (key == "PCI_ID") {
    if (const auto pair = id_pair(value)) {
      std::tie(ids.vendor, ids.device) = *pair;
      has_ids = true;
    }
  } else if (key == "PCI_SUBSYS_ID") {
    if (const auto pair = id_pair(value)) std::tie(ids.subvendor, ids.subdevice) = *pair;
  }
}

void take_uevent(Device& out, std::string_view text) {
  PciIds ids;
  bool has_ids = false;
  while (!text.empty()) {
    const auto end = text.find('\n');
    take_line(out, ids, has_ids, text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (has_ids) out.pci = ids;
}

Error no_such(std::string what, std::string object) {
  return {
      .code = Code::kNotFound, .object = std::move(object), .why = "no such " + std::move(what)};
}

}  // namespace

Reply<std::optional<DriverName>> read_driver(Sysfs& device) {
  const auto target = device.read_link("driver");
  if (!target && target.error().value == ENOENT) return std::nullopt;
  if (!target) return std::unexpected(target.error());
  auto name = DriverName::parse(link_name(*target));
  if (!name) return std::unexpected(Errno{EINVAL});
  return *std::move(name);
}

Reply<std::optional<std::string>> read_override(Sysfs& device) {
  const std::string text = TRY(device.read("driver_override"));
  const std::string_view value = trim_newline(text);
  if (value.empty() || value == "(null)") return std::nullopt;
  return std::string(value);
}

Reply<Binding> read_binding(Sysfs& device) {
  Binding out;
  out.driver = TRY(read_driver(device));
  auto override = read_override(device);
  if (!override && override.error().value != ENOENT) return std::unexpected(override.error());
  out.has_override = override.has_value();
  if (override) out.driver_override = *std::move(override);
  return out;
}

Reply<std::optional<unsigned>> read_iommu_group(Sysfs& device) {
  const auto target = device.read_link("iommu_group");
  if (!target && target.error().value == ENOENT) return std::nullopt;
  if (!target) return std::unexpected(target.error());
  const auto number = parse_decimal(link_name(*target), UINT32_MAX);
  if (!number) return std::unexpected(Errno{EINVAL});
  return static_cast<unsigned>(*number);
}

Result<Device> read_device(Sysfs& device, const DeviceId& id) {
  Device out{.id = id};
  const auto uevent = device.read("uevent");
  if (!uevent && (uevent.error().value == ENOENT || uevent.error().value == ENODEV)) {
    // A held directory that is gone answers ENOENT too; a tree without uevent files still has
    // links.
    if (!device.list("")) return fail(no_such("device", id.str()));
  }
  if (uevent) take_uevent(out, *uevent);
  if (!uevent || !out.driver) {
    if (auto driver = read_driver(device); !uevent && driver) out.driver = *std::move(driver);
  }
  if (auto override = read_override(device)) {
    out.has_override = true;
    out.driver_override = *std::move(override);
  }
  out.iommu_group = read_iommu_group(device).value_or(std::nullopt);
  return out;
}

Result<std::vector<DeviceId>> read_group(Sysfs& root, unsigned group) {
  const std::string path = "kernel/iommu_groups/" + std::to_string(group) + "/devices";
  const auto names = root.list(path);
  if (!names) return fail(no_such("IOMMU group", std::to_string(group)));
  std::vector<DeviceId> out;
  for (const std::string& text : *names) {
    auto name = DeviceName::parse(text);
    if (!name) continue;
    // Nearly all members are PCI functions; another bus is told by the `subsystem` link of the
    // member.
    BusName bus = BusName::literal("pci");
    if (!PciAddress::parse(text)) {
      const auto subsystem = root.read_link(path + "/" + text + "/subsystem");
      auto other = BusName::parse(subsystem ? link_name(*subsystem) : "");
      if (!other) continue;
      bus = *std::move(other);
    }
    out.push_back({.bus = std::move(bus), .name = *std::move(name)});
  }
  std::ranges::sort(out);
  return out;
}

Result<std::vector<std::string>> read_driver_names(Sysfs& root, const BusName& bus) {
  auto names = root.list("bus/" + bus.str() + "/drivers");
  if (!names) return fail(no_such("bus", bus.str()));
  std::ranges::sort(*names);
  return *std::move(names);
}

Result<std::vector<DeviceName>> read_device_names(Sysfs& root, const BusName& bus) {
  auto names = root.list("bus/" + bus.str() + "/devices");
  if (!names) return fail(no_such("bus", bus.str()));
  std::ranges::sort(*names);
  std::vector<DeviceName> out;
  out.reserve(names->size());
  for (const std::string& text : *names) {
    if (auto name = DeviceName::parse(text)) out.push_back(*std::move(name));
  }
  return out;
}

}  // namespace anybind
