#include "policy/device_pattern.h"

#include <fmt/format.h>

#include "base/text.h"
#include "host/sysfs.h"

namespace anybind {
namespace {

constexpr const char* kPci = "pci";
constexpr std::string_view kDevices = "/sys/devices/";  // of texts, never opened
constexpr std::string_view kDomain = "0000:";           // which people leave out

using Parsed = std::expected<DevicePattern, std::string>;

Parsed refuse(std::string why) {
  return std::unexpected(std::move(why));
}

Parsed parse_path(const std::string& text) {
  if (!text.starts_with(kDevices)) return refuse("a path must begin with /sys/devices/");
  const bool below = text.ends_with("/*");
  const std::string path = below ? text.substr(0, text.size() - 1) : text;
  if (is_glob(path)) return refuse("of a path only the end can be *");
  if (!below && path.ends_with('/'))
    return refuse("a path must not end with /; /* is all below it");
  return DevicePattern{.kind = below ? DevicePattern::Kind::kBelow : DevicePattern::Kind::kPath,
                       .text = text,
                       .bus = kPci,
                       .name = path};
}

Parsed parse_address(const PciAddress& address) {
  const std::string full = address.str();
  return DevicePattern{
      .kind = address.function ? DevicePattern::Kind::kOne : DevicePattern::Kind::kFunctions,
      .text = full,
      .bus = kPci,
      .name = full};
}

/// Forms of the command line that mean something else a boot later.
std::string why_not_kept(const std::string& text) {
  for (const char* prefix : {"id:", "class:"})
    if (text.starts_with(prefix))
      return fmt::format("write {} = \"{}\" instead", text.substr(0, text.find(':')),
                         text.substr(text.find(':') + 1));
  if (text.starts_with("driver:") || text.starts_with("override:"))
    return "a rule changes that: it would not match any more once it holds";
  if (text.starts_with("group:")) return "the numbers of IOMMU groups change from boot to boot";
  return "";
}

}  // namespace

std::expected<DevicePattern, std::string> DevicePattern::parse(const std::string& text) {
  if (text.empty() || text.size() > Sysfs::kPageSize) return refuse("names no device");
  if (std::string why = why_not_kept(text); !why.empty()) return refuse(std::move(why));
  if (text.starts_with('/')) return parse_path(text);
  if (const auto address = PciAddress::parse(text)) return parse_address(*address);
  const auto slash = text.find('/');
  if (slash == std::string::npos) {
    if (is_glob(text))
      return DevicePattern{.kind = Kind::kGlob, .text = text, .bus = kPci, .name = text};
    return refuse(
        "no address; the name of an interface goes with its driver, so use its address or mac");
  }
  const std::string bus = text.substr(0, slash);
  const std::string name = text.substr(slash + 1);
  if (bus == kPci) {
    if (const auto address = PciAddress::parse(name)) return parse_address(*address);
  }
  if (is_glob(text))
    return DevicePattern{.kind = Kind::kGlob, .text = text, .bus = bus, .name = name};
  if (!BusName::parse(bus) || !DeviceName::parse(name)) return refuse("no possible BUS/NAME");
  return DevicePattern{.kind = Kind::kOne, .text = text, .bus = bus, .name = name};
}

bool DevicePattern::names(const DeviceId& device) const {
  const std::string& other = device.name.str();
  switch (kind) {
    case Kind::kOne:
      return other == name && device.bus.str() == bus;
    case Kind::kFunctions:
      return other.size() == name.size() + 2 && other.starts_with(name) && device.bus.str() == bus;
    case Kind::kGlob:
      if (!glob_match(bus, device.bus.str())) return false;
      return glob_match(name, other) || (bus == kPci && other.starts_with(kDomain) &&
                                         glob_match(name, other.substr(kDomain.size())));
    case Kind::kPath:
    case Kind::kBelow:
      break;
  }
  return false;
}

bool DevicePattern::names(const DeviceId& device, const std::string& syspath) const {
  if (kind == Kind::kPath) return syspath == name;
  return kind == Kind::kBelow && device.bus.str() == bus && syspath.starts_with(name);
}

bool DevicePattern::covers(const DevicePattern& narrower) const {
  if (*this == narrower) return true;
  if (kind == Kind::kBelow) return narrower.is_path() && narrower.name.starts_with(name);
  if (is_path() || narrower.kind != Kind::kOne) return false;
  const auto of = BusName::parse(narrower.bus);
  const auto device = DeviceName::parse(narrower.name);
  return of && device && names({.bus = *of, .name = *device});
}

}  // namespace anybind
