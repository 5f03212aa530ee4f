// PCI new_id and remove_id, after drivers/pci/pci-driver.c of Linux 6.12.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "drivercore/driver_core.h"
#include "drivercore/match.h"

namespace anybind::drivercore {
namespace {

/// What sscanf("%x %x %x %x %x %x %lx") takes: as many fields as there are, silently up to the
/// first junk.
struct Fields {
  std::size_t count = 0;
  std::array<std::uint64_t, 7> value{};
};

/// One hex number as the kernel's sscanf("%x") reads it: blanks, an optional 0x, digits, cut to its
/// width.
bool take_number(std::string_view& text, std::uint64_t& value) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  if (text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') text.remove_prefix(2);
  std::size_t digits = 0;
  value = 0;
  while (digits < text.size() && std::isxdigit(static_cast<unsigned char>(text[digits])) != 0) {
    const char c = static_cast<char>(text[digits] | 0x20);
    value = (value << 4) | static_cast<unsigned>(c >= 'a' ? c - 'a' + 10 : text[digits] - '0');
    ++digits;
  }
  text.remove_prefix(digits);
  return digits > 0;
}

Fields scan(std::string_view text) {
  text = text.substr(0, text.find('\0'));
  Fields out;
  for (; out.count < out.value.size(); ++out.count) {
    std::uint64_t value = 0;
    if (!take_number(text, value)) break;
    out.value.at(out.count) = out.count < 6 ? value & 0xFFFFFFFF : value;
  }
  return out;
}

PciId id_of(const Fields& fields) {
  const auto at = [&](std::size_t i, std::uint32_t otherwise) {
    return i < fields.count ? static_cast<std::uint32_t>(fields.value.at(i)) : otherwise;
  };
  return {.vendor = at(0, 0),
          .device = at(1, 0),
          .subvendor = at(2, PciId::kAny),
          .subdevice = at(3, PciId::kAny),
          .class_code = at(4, 0),
          .class_mask = at(5, 0),
          .data = fields.count > 6 ? fields.value[6] : 0};
}

/// Whether the id, seen as a device, is one that the driver matches already. The comparison is that
/// of a device of 16-bit ids with the table (new_id_store makes a struct pci_dev of it).
bool known_already(const Driver& driver, const PciId& id) {
  Device device{.bus = "pci",
                .vendor = static_cast<std::uint16_t>(id.vendor),
                .device = static_cast<std::uint16_t>(id.device),
                .subvendor = static_cast<std::uint16_t>(id.subvendor),
                .subdevice = static_cast<std::uint16_t>(id.subdevice),
                .class_code = id.class_code,
                .match_driver = true};
  return pci_match(device, driver).has_value();
}

DriverKey key_of(const State& state, const std::string& driver) {
  return state.buses.at("pci").driver_names.at(driver);
}

}  // namespace

Reply<void> DriverCore::new_id(const std::string& driver_name, std::string_view text) {
  const DriverKey key = key_of(state_, driver_name);
  Driver& driver = state_.drivers.at(key);
  const Fields fields = scan(text);
  if (fields.count < 2) return std::unexpected(Errno{EINVAL});
  const PciId id = id_of(fields);
  if (fields.count != 7 && known_already(driver, id)) return std::unexpected(Errno{EEXIST});
  const bool data_known =
      driver.ids.empty() ||
      std::ranges::any_of(driver.ids, [&](const PciId& known) { return known.data == id.data; });
  if (!data_known) return std::unexpected(Errno{EINVAL});
  driver.dynamic_ids.push_back(id);
  driver_attach(key);
  retry_deferred();
  return {};
}

Reply<void> DriverCore::remove_id(const std::string& driver_name, std::string_view text) {
  std::vector<PciId>& ids = state_.drivers.at(key_of(state_, driver_name)).dynamic_ids;
  const Fields fields = scan(text);
  if (fields.count < 2) return std::unexpected(Errno{EINVAL});
  const PciId wanted = id_of(fields);
  const auto found = std::ranges::find_if(ids, [&](const PciId& id) {
    return id.vendor == wanted.vendor && id.device == wanted.device &&
           (wanted.subvendor == PciId::kAny || id.subvendor == wanted.subvendor) &&
           (wanted.subdevice == PciId::kAny || id.subdevice == wanted.subdevice) &&
           ((id.class_code ^ wanted.class_code) & wanted.class_mask) == 0;
  });
  if (found == ids.end()) return std::unexpected(Errno{ENODEV});
  ids.erase(found);
  return {};
}

}  // namespace anybind::drivercore
