#include "plan/dynamic_id.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/device.h"

namespace anybind {
namespace {

std::string modalias_of(Sysfs& dir) {
  const auto text = dir.read("modalias");
  return text ? std::string(trim_newline(*text)) : "";
}

/// All seven fields. Then the kernel does not look for duplicates, so that there is no EEXIST by
/// which somebody else's id could be taken for ours; and the class has 24 bits that count and eight
/// that nobody looks at, but remove_id does when its mask says so: they tell our id from any other
/// (linux drivers/pci/pci-driver.c:new_id_store, remove_id_store, pci_match_one_device).
std::optional<DynamicId> pci_id(Sysfs& dir, const DeviceId& device) {
  constexpr std::uint32_t kOurs = 0xAB000000;
  const auto read = read_device(dir, device);
  if (!read || !read->pci) return std::nullopt;
  const PciIds& ids = *read->pci;
  const std::string front =
      fmt::format("{:04x} {:04x} {:04x} {:04x} {:08x}", ids.vendor, ids.device, ids.subvendor,
                  ids.subdevice, kOurs | ids.class_code);
  return DynamicId{.add = front + " 00ffffff 0", .remove = front + " ffffffff"};
}

/// `width` upper-case hex digits behind `tag`.
std::optional<std::uint64_t> field(std::string_view modalias, std::string_view tag,
                                   std::size_t width) {
  const auto at = modalias.find(tag);
  if (at == std::string_view::npos || at + tag.size() + width > modalias.size())
    return std::nullopt;
  return parse_hex(modalias.substr(at + tag.size(), width));
}

/// Of an interface: "usb:v046DpC077d7200dc00dsc00dp00ic03isc01ip02in00". A whole device has no
/// modalias. Class 0 is no class for new_id.
std::optional<DynamicId> usb_id(Sysfs& dir) {
  const std::string modalias = modalias_of(dir);
  const auto vendor = field(modalias, "usb:v", 4);
  const auto product = field(modalias, "p", 4);
  const auto kind = field(modalias, "ic", 2);
  if (!vendor || !product || !kind) return std::nullopt;
  const std::string front = fmt::format("{:04x} {:04x}", *vendor, *product);
  const std::string tail = *kind == 0 ? "" : fmt::format(" {:02x}", *kind);
  return DynamicId{.add = front + tail, .remove = front};
}

std::optional<DynamicId> platform_id(Sysfs& dir) {
  constexpr std::string_view kPrefix = "platform:";
  constexpr std::size_t kNameSize = 20;  // PLATFORM_NAME_SIZE, with its NUL
  const std::string modalias = modalias_of(dir);
  if (!modalias.starts_with(kPrefix)) return std::nullopt;
  const std::string name = modalias.substr(kPrefix.size());
  if (name.empty() || name.size() >= kNameSize) return std::nullopt;
  return DynamicId{.add = name, .remove = name};
}

/// `id` describes a device whose own id is `other`: the same, or the front of it.
bool describes(const DynamicId& id, const DynamicId& other) {
  return other.add == id.add || other.add.starts_with(id.add + " ");
}

}  // namespace

std::optional<DynamicId> dynamic_id(Sysfs& dir, const DeviceId& device) {
  const std::string& bus = device.bus.str();
  if (bus == "pci") return pci_id(dir, device);
  if (bus == "usb") return usb_id(dir);
  if (bus == "platform") return platform_id(dir);
  return std::nullopt;
}

Result<std::vector<DeviceId>> captured_by(Sysfs& root, const BusName& bus,
                                          const std::optional<DynamicId>& id,
                                          const DriverName& driver, const OwnIds& own,
                                          const std::set<DeviceId>& going) {
  std::vector<DeviceId> out;
  for (const DeviceId& other : TRY(read_device_ids(root, bus))) {
    if (going.contains(other)) continue;
    const auto dir = root.open_dir(other.path());
    if (!dir) continue;  // unplugged meanwhile
    const auto binding = read_binding(**dir);
    const bool is_busy = !binding && binding.error().value == ETIMEDOUT;  // it may be captured too
    if (!is_busy && (!binding || binding->driver)) continue;
    const auto named = is_busy ? std::nullopt : binding->driver_override;
    if (named && named != driver.str()) continue;
    const auto theirs = dynamic_id(**dir, other);
    const bool same = id && theirs && describes(*id, *theirs);
    if (same || named || own.match(modalias_of(**dir)) == OwnIds::Answer::kYes)
      out.push_back(other);
  }
  return out;
}

}  // namespace anybind
