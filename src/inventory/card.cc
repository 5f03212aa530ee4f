#include "inventory/card.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/config_space.h"

namespace anybind {
namespace {

constexpr unsigned kSerialCapability = 0x03;  // PCI_EXT_CAP_ID_DSN
constexpr std::size_t kSerialSize = 8;
constexpr std::size_t kMacSize = 6;

/// `size` bytes as pairs of hex digits with `separator` between them, or ':' or '-', in lower case.
std::optional<std::string> parse_bytes(std::string_view text, std::size_t size, char separator) {
  if (text.size() != 3 * size - 1) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < size; ++i) {
    const std::string_view pair = text.substr(3 * i, 2);
    const auto byte = pair.contains('x') ? std::nullopt : parse_hex(pair, 0xFF);
    if (!byte) return std::nullopt;
    if (i != 0 && text[3 * i - 1] != ':' && text[3 * i - 1] != '-') return std::nullopt;
    if (i != 0) out += separator;
    out += fmt::format("{:02x}", *byte);
  }
  return out;
}

/// As linux drivers/pci/pci.c:pci_get_dsn() and pci-sysfs.c:serial_number_show() put it together.
std::optional<std::string> serial_in(const ConfigSpace& config) {
  const std::size_t at = config.find_extended(kSerialCapability);
  if (at == 0 || at + 12 > config.size()) return std::nullopt;
  std::string out;
  for (std::size_t i = kSerialSize; i-- > 0;)
    out += fmt::format("{}{:02x}", out.empty() ? "" : "-", config.byte(at + 4 + i));
  return out;
}

}  // namespace

Reply<std::optional<std::string>> read_serial_number(Sysfs& device) {
  const auto told = device.read("serial_number");
  if (told) return parse_serial_number(trim_newline(*told));
  const auto config = device.read("config");
  if (!config && config.error().value == ENOENT) return std::nullopt;  // not PCI
  if (!config) return std::unexpected(config.error());
  const ConfigSpace bytes(*config);
  if (auto serial = serial_in(bytes)) return serial;
  // Who has no rights is given the first 64 bytes.
  if (told.error().value == EACCES || bytes.size() == 0x40) return std::unexpected(Errno{EACCES});
  return std::nullopt;
}

std::optional<std::string> parse_serial_number(std::string_view text) {
  return parse_bytes(text, kSerialSize, '-');
}

std::vector<std::string> read_mac_addresses(Sysfs& device) {
  std::vector<std::string> out;
  const auto look = [&](const std::string& folder) {
    for (const std::string& name : device.list(folder).value_or(std::vector<std::string>{})) {
      const std::string path = fmt::format("{}/{}", folder, name);
      auto text = device.read(path + "/bonding_slave/perm_hwaddr");
      if (!text) text = device.read(path + "/address");
      if (const auto mac = parse_mac_address(trim_newline(text.value_or("")))) out.push_back(*mac);
    }
  };
  look("net");
  for (const std::string& name : device.list("").value_or(std::vector<std::string>{}))
    if (name.starts_with("virtio")) look(name + "/net");
  std::ranges::sort(out);
  return out;
}

std::optional<std::string> parse_mac_address(std::string_view text) {
  return parse_bytes(text, kMacSize, ':');
}

std::map<std::string, std::string> read_slots(Sysfs& root) {
  std::map<std::string, std::string> out;
  const std::string slots = "bus/pci/slots";
  for (const std::string& name : root.list(slots).value_or(std::vector<std::string>{})) {
    const auto text = root.read(fmt::format("{}/{}/address", slots, name));
    const auto address = PciAddress::parse(trim_newline(text.value_or("")));
    if (address && !address->function) out.emplace(address->str(), name);
  }
  return out;
}

std::map<std::string, unsigned> read_virtual_numbers(Sysfs& root, const DeviceId& pf) {
  std::map<std::string, unsigned> out;
  for (const std::string& entry : root.list(pf.path()).value_or(std::vector<std::string>{})) {
    static constexpr std::string_view kVirtual = "virtfn";
    if (!entry.starts_with(kVirtual)) continue;
    const auto index = parse_decimal(std::string_view(entry).substr(kVirtual.size()), 0xFFFF);
    const auto target = root.read_link(pf.path() + "/" + entry);
    if (index && target) out.emplace(link_name(*target), static_cast<unsigned>(*index));
  }
  return out;
}

}  // namespace anybind
