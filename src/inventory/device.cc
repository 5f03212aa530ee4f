#include "inventory/device.h"

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "base/try.h"
#include "inventory/populate.h"

namespace anybind {
namespace {

bool is_pci(const BusName& bus) {
  return bus.str() == "pci";
}

/// The order of names on one bus. PCI addresses have fixed widths, but for the domain (VMD has five
/// digits): the longer is the greater.
auto name_less(bool longer_is_greater) {
  return [=](std::string_view a, std::string_view b) {
    if (longer_is_greater && a.size() != b.size()) return a.size() < b.size();
    return a < b;
  };
}

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

/// `width` hex digits behind the letters `tag`, cut off the front of `text`.
std::optional<std::uint32_t> take_field(std::string_view& text, std::string_view tag,
                                        std::size_t width) {
  if (!text.starts_with(tag) || text.size() < tag.size() + width) return std::nullopt;
  const auto value = parse_hex(text.substr(tag.size(), width), UINT32_MAX);
  text.remove_prefix(tag.size() + width);
  return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
}

/// A directory that cannot be read says nothing about whether it is there.
Error no_such(Errno err, const std::string& what, std::string object) {
  const bool is_absent = err.value == ENOENT || err.value == ENOTDIR || err.value == ENODEV;
  if (!is_absent) return from_errno(err, "read the " + what, std::move(object));
  return {.kind = ErrorKind::kNotFound, .object = std::move(object), .why = "no such " + what};
}

template <class T>
bool is_timeout(const Reply<T>& reply) {
  return !reply && reply.error().value == ETIMEDOUT;
}

/// A held directory whose device is gone: listing it fails, or gives nothing, for the C library
/// takes the ENOENT of a removed directory for its end.
bool is_gone(Sysfs& device) {
  const auto names = device.list("");
  return !names || names->empty();
}

/// What `uevent` would have told, in a tree that has none.
void take_links(Sysfs& device, Device& out) {
  if (auto driver = read_driver(device)) out.driver = *std::move(driver);
  if (const auto modalias = device.read("modalias")) out.modalias = trim_newline(*modalias);
}

Result<BusName> bus_of_member(Sysfs& root, const std::string& group, const std::string& name) {
  if (PciAddress::parse(name)) return BusName::literal("pci");
  const auto subsystem = root.read_link(group + "/" + name + "/subsystem");
  auto bus = BusName::parse(subsystem ? link_name(*subsystem) : "");
  if (bus) return bus;
  return fail(
      {.kind = ErrorKind::kFailed, .object = group, .why = "the bus of " + name + " is unknown"});
}

}  // namespace

Error read_error(Errno err, std::string operation, const DeviceId& device) {
  Error out = from_errno(err, std::move(operation), device.str());
  if (err.value != ETIMEDOUT) return out;
  out.why =
      "it is busy: the kernel holds its lock, for a bind, an unbind or a reset that has not ended";
  out.advice = Remark(Action::kShow, {device.str()}) + ", and try again when that has ended";
  return out;
}

Result<std::unique_ptr<Sysfs>> open_device(Sysfs& root, const DeviceId& device) {
  auto dir = root.open_dir(device.path());
  if (dir) return *std::move(dir);
  if (dir.error().value == ENOENT || dir.error().value == ENODEV) return nullptr;
  return fail(from_errno(dir.error(), "open", device.str()));
}

Reply<std::optional<DriverName>> read_driver(Sysfs& device) {
  const auto target = device.read_link("driver");
  if (!target && target.error().value == ENOENT) return std::nullopt;
  if (!target) return std::unexpected(target.error());
  auto name = DriverName::parse(link_name(*target));
  if (!name) return std::unexpected(Errno{EINVAL});
  return *std::move(name);
}

std::optional<std::string> parse_override(std::string_view text) {
  const std::string_view value = trim_newline(text);
  if (value.empty() || value == "(null)") return std::nullopt;
  return std::string(value);
}

Reply<std::optional<std::string>> read_override(Sysfs& device) {
  return parse_override(TRY(device.read("driver_override")));
}

/// Which of the two files the device has, if one; the directory tells, since "no such file" alone
/// could also be of a device that is on its way out. ENOENT when it is gone.
Reply<std::string> override_file(Sysfs& device) {
  const auto names = TRY(device.list(""));
  if (names.empty()) return std::unexpected(Errno{ENOENT});
  for (const char* name : {"driver_override", "preferred_driver"}) {
    if (std::ranges::find(names, name) != names.end()) return name;
  }
  return "";
}

Reply<Binding> read_binding(Sysfs& device) {
  Binding out;
  out.driver = TRY(read_driver(device));
  auto override = read_override(device);
  if (!override && override.error().value == ENOENT) {
    const std::string file = TRY(override_file(device));
    if (file.empty()) return out;
    out.is_preferred = file == "preferred_driver";
    if (out.is_preferred) override = parse_override(TRY(device.read(file)));
  }
  out.has_override = true;
  out.driver_override = TRY(std::move(override));
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

Reply<std::optional<std::uint32_t>> read_pci_class(Sysfs& device) {
  const auto text = device.read("class");
  if (!text && text.error().value == ENOENT) return std::nullopt;
  if (!text) return std::unexpected(text.error());
  std::string_view digits = trim_newline(*text);
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  const auto code = parse_hex(digits, 0xFFFFFF);
  if (!code) return std::unexpected(Errno{EINVAL});
  return static_cast<std::uint32_t>(*code);
}

Result<Device> read_device(Sysfs& device, const DeviceId& id) {
  Device out{.id = id};
  TRY(read_device(device, out));
  return out;
}

Result<> read_device(Sysfs& device, Device& out) {
  const DeviceId& id = out.id;
  const auto uevent = device.read("uevent");
  out.busy = is_timeout(uevent);
  if (uevent) {
    take_uevent(out, *uevent);
  } else if (is_gone(device)) {
    return fail(no_such(Errno{ENOENT}, "device", id.str()));
  } else {
    take_links(device, out);
  }
  if (!is_pci(id.bus)) {
    out.pci.reset();
  } else if (!out.pci) {
    out.pci = pci_ids_of_modalias(out.modalias);
  }
  if (auto override = read_override(device)) {
    out.has_override = true;
    out.driver_override = *std::move(override);
  } else if (is_timeout(override)) {
    out.has_override = out.busy = true;
  }
  out.iommu_group = read_iommu_group(device).value_or(std::nullopt);
  return {};
}

std::optional<PciIds> pci_ids_of_modalias(std::string_view modalias) {
  constexpr std::uint32_t kMax = 0xFFFF;
  if (!modalias.starts_with("pci:")) return std::nullopt;
  modalias.remove_prefix(4);
  const auto vendor = take_field(modalias, "v", 8);
  const auto device = take_field(modalias, "d", 8);
  const auto subvendor = take_field(modalias, "sv", 8);
  const auto subdevice = take_field(modalias, "sd", 8);
  const auto base = take_field(modalias, "bc", 2);
  const auto sub = take_field(modalias, "sc", 2);
  const auto interface = take_field(modalias, "i", 2);
  if (!vendor || !device || *vendor > kMax || *device > kMax) return std::nullopt;
  return PciIds{
      .vendor = static_cast<std::uint16_t>(*vendor),
      .device = static_cast<std::uint16_t>(*device),
      .subvendor = static_cast<std::uint16_t>(subvendor.value_or(0)),
      .subdevice = static_cast<std::uint16_t>(subdevice.value_or(0)),
      .class_code = base.value_or(0) << 16 | sub.value_or(0) << 8 | interface.value_or(0)};
}

bool address_less(const DeviceId& a, const DeviceId& b) {
  return a.bus != b.bus ? a.bus < b.bus : name_less(is_pci(a.bus))(a.name.str(), b.name.str());
}

Result<std::vector<DeviceId>> read_group(Sysfs& root, unsigned group) {
  const std::string path = "kernel/iommu_groups/" + std::to_string(group) + "/devices";
  const auto names = root.list(path);
  if (!names) return fail(no_such(names.error(), "IOMMU group", std::to_string(group)));
  std::vector<DeviceId> out;
  for (const std::string& text : *names) {
    auto name = TRY(DeviceName::parse(text));
    out.push_back({.bus = TRY(bus_of_member(root, path, text)), .name = std::move(name)});
  }
  std::ranges::sort(out, address_less);
  return out;
}

Result<std::vector<std::string>> read_driver_names(Sysfs& root, const BusName& bus) {
  auto names = root.list("bus/" + bus.str() + "/drivers");
  if (!names) return fail(no_such(names.error(), "bus", bus.str()));
  std::erase_if(*names, [](const std::string& name) { return !is_sysfs_name(name); });
  std::ranges::sort(*names);
  return *std::move(names);
}

Result<std::vector<DeviceId>> read_device_ids(Sysfs& root, const BusName& bus) {
  const auto names = root.list("bus/" + bus.str() + "/devices");
  if (!names) return fail(no_such(names.error(), "bus", bus.str()));
  std::vector<std::string_view> sorted(names->begin(), names->end());  // cheap to move
  std::ranges::sort(sorted, name_less(is_pci(bus)));
  std::vector<DeviceId> out;
  reserve_populated(out, sorted.size());
  for (const std::string_view text : sorted) {
    if (auto name = DeviceName::parse(text)) out.push_back({.bus = bus, .name = *std::move(name)});
  }
  return out;
}

Result<Instance> youngest_on(Sysfs& root, const BusName& bus) {
  Instance out;
  for (const DeviceId& id : TRY(read_device_ids(root, bus))) {
    const auto dir = root.open_dir(id.path());
    const auto instance = dir ? (*dir)->instance() : std::unexpected(dir.error());
    if (instance && instance->inode > out.inode) out = *instance;
    if (instance || instance.error().value == ENOENT) continue;
    return fail(from_errno(instance.error(), "look at", id.str()));
  }
  return out;
}

}  // namespace anybind
