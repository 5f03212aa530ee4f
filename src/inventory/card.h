#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"

// What tells one card from another of its type, wherever it is plugged in, and where it is plugged
// in. An address tells neither: it changes when another card comes.
namespace anybind {

/// The serial number of a PCI function, "00-1b-21-ff-ff-6a-2c-8e", from its held directory:
/// `serial_number` (Linux since 6.18), else the Device Serial Number capability in `config`, which
/// only root sees. nullopt: it has none. EACCES: this user may not know.
[[nodiscard]] Reply<std::optional<std::string>> read_serial_number(Sysfs& device);

/// `text` as read_serial_number() writes it: lower case, with dashes; nullopt for what is no serial
/// number.
[[nodiscard]] std::optional<std::string> parse_serial_number(std::string_view text);

/// The MAC addresses of the network interfaces of a held device directory, also of those that a
/// virtio card has, lower case; for a member of a bond, the one of the card itself. None where no
/// network driver has the device.
[[nodiscard]] std::vector<std::string> read_mac_addresses(Sysfs& device);

/// "52:54:00:12:34:56" in lower case; nullopt for what is no MAC address.
[[nodiscard]] std::optional<std::string> parse_mac_address(std::string_view text);

/// The physical slots that the firmware names, by the address of what is in them without the
/// function: "0000:03:00" -> "2" (linux drivers/pci/slot.c).
[[nodiscard]] std::map<std::string, std::string> read_slots(Sysfs& root);

/// The numbers of the virtual functions that `pf` has now, by their names. None for what is no
/// physical function.
[[nodiscard]] std::map<std::string, unsigned> read_virtual_numbers(Sysfs& root, const DeviceId& pf);

}  // namespace anybind
