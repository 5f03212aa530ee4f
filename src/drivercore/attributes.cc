// Every attribute file of the modelled tree: who has it, its text, and what a write to it does.
#include "drivercore/attributes.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include <fmt/format.h>

namespace anybind::drivercore {
namespace {

using Show = std::string (*)(const DriverCore&, const Owner&);
using Store = Reply<void> (*)(DriverCore&, const Owner&, std::string_view);
using Applies = bool (*)(const DriverCore&, const Owner&);

struct Attribute {
  std::string_view name;
  Show show;        ///< nullptr: cannot be read
  Store store;      ///< nullptr: cannot be written
  Applies applies;  ///< nullptr: always
};

const Device& device_of(const DriverCore& core, const Owner& owner) {
  return *core.find(owner.device);
}

// ---- of a bus

std::string show_autoprobe(const DriverCore& core, const Owner& owner) {
  return core.state().buses.at(owner.bus).autoprobe ? "1\n" : "0\n";
}

constexpr std::array<Attribute, 4> kBusAttributes = {{
    {"drivers_autoprobe", show_autoprobe,
     [](DriverCore& core, const Owner& o, std::string_view text) {
       return core.drivers_autoprobe(o.bus, text);
     },
     nullptr},
    {"drivers_probe", nullptr,
     [](DriverCore& core, const Owner& o, std::string_view text) {
       return core.drivers_probe(o.bus, text);
     },
     nullptr},
    {"rescan", nullptr,
     [](DriverCore& core, const Owner&, std::string_view text) { return core.rescan(text); },
     [](const DriverCore&, const Owner& o) { return o.bus == "pci"; }},
    {"uevent", nullptr, [](DriverCore&, const Owner&, std::string_view) { return Reply<void>(); },
     nullptr},
}};

// ---- of a driver

bool can_be_bound(const DriverCore& core, const Owner& owner) {
  return !core.find_driver(owner.bus, owner.driver)->suppress_bind;
}

bool is_pci_driver(const DriverCore&, const Owner& owner) {
  return owner.bus == "pci";
}

constexpr std::array<Attribute, 5> kDriverAttributes = {{
    {"bind", nullptr,
     [](DriverCore& core, const Owner& o, std::string_view text) {
       return core.bind(o.bus, o.driver, text);
     },
     can_be_bound},
    {"new_id", nullptr,
     [](DriverCore& core, const Owner& o, std::string_view text) {
       return core.new_id(o.driver, text);
     },
     is_pci_driver},
    {"remove_id", nullptr,
     [](DriverCore& core, const Owner& o, std::string_view text) {
       return core.remove_id(o.driver, text);
     },
     is_pci_driver},
    {"uevent", nullptr, [](DriverCore&, const Owner&, std::string_view) { return Reply<void>(); },
     nullptr},
    {"unbind", nullptr,
     [](DriverCore& core, const Owner& o, std::string_view text) {
       return core.unbind(o.bus, o.driver, text);
     },
     can_be_bound},
}};

// ---- of a device

bool is_pci(const DriverCore& core, const Owner& owner) {
  return device_of(core, owner).bus == "pci";
}

bool is_vga(const DriverCore& core, const Owner& owner) {
  return is_pci(core, owner) && device_of(core, owner).class_code >> 8 == 0x0300;
}

bool is_pf(const DriverCore& core, const Owner& owner) {
  return device_of(core, owner).total_vfs > 0;
}

unsigned count_vfs(const DriverCore& core, const Device& pf) {
  return static_cast<unsigned>(std::ranges::count_if(core.state().devices, [&](const auto& entry) {
    return !entry.second.dead && entry.second.physfn == pf.name;
  }));
}

template <auto Member>
std::string show_id(const DriverCore& core, const Owner& owner) {
  return fmt::format("0x{:04x}\n", device_of(core, owner).*Member);
}

/// The 64 bytes of a type 0 or 1 header that say who the function is; the rest is zero.
std::string show_config(const DriverCore& core, const Owner& owner) {
  const Device& d = device_of(core, owner);
  std::string out(256, '\0');
  const auto put = [&](std::size_t at, unsigned value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) out[at + i] = static_cast<char>(value >> (8 * i));
  };
  put(0x00, d.vendor, 2);
  put(0x02, d.device, 2);
  put(0x08, d.revision, 1);
  put(0x09, d.class_code, 3);
  const bool bridge = d.class_code >> 8 == 0x0604;
  put(0x0E, bridge ? 1 : 0, 1);
  if (!bridge) put(0x2C, d.subvendor, 2);
  if (!bridge) put(0x2E, d.subdevice, 2);
  return out;
}

std::string show_override(const DriverCore& core, const Owner& owner) {
  return device_of(core, owner).driver_override.value_or("(null)") + "\n";
}

std::string show_uevent(const DriverCore& core, const Owner& owner) {
  std::string out;
  for (const std::string& line : core.uevent_lines(device_of(core, owner))) out += line + "\n";
  return out;
}

std::string show_modalias(const DriverCore& core, const Owner& owner) {
  const std::string line = core.uevent_lines(device_of(core, owner)).back();
  return line.substr(line.find('=') + 1) + "\n";
}

std::string show_resource(const DriverCore&, const Owner&) {
  std::string out;
  for (int i = 0; i < 13; ++i) out += "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";
  return out;
}

constexpr std::array<Attribute, 24> kDeviceAttributes = {{
    {"boot_vga",
     [](const DriverCore& c, const Owner& o) {
       return std::string(device_of(c, o).boot_vga ? "1\n" : "0\n");
     },
     nullptr, is_vga},
    {"class",
     [](const DriverCore& c, const Owner& o) {
       return fmt::format("0x{:06x}\n", device_of(c, o).class_code);
     },
     nullptr, is_pci},
    {"config", show_config, nullptr, is_pci},
    {"device", show_id<&Device::device>, nullptr, is_pci},
    {"driver_override", show_override,
     [](DriverCore& c, const Owner& o, std::string_view text) {
       return c.driver_override(o.device, text);
     },
     nullptr},
    {"enable",
     [](const DriverCore& c, const Owner& o) {
       return std::string(device_of(c, o).driver ? "1\n" : "0\n");
     },
     nullptr, is_pci},
    {"irq", [](const DriverCore&, const Owner&) { return std::string("0\n"); }, nullptr, is_pci},
    {"local_cpulist", [](const DriverCore&, const Owner&) { return std::string("0-1\n"); }, nullptr,
     is_pci},
    {"local_cpus", [](const DriverCore&, const Owner&) { return std::string("3\n"); }, nullptr,
     is_pci},
    {"modalias", show_modalias, nullptr, nullptr},
    {"numa_node",
     [](const DriverCore& c, const Owner& o) {
       return fmt::format("{}\n", device_of(c, o).numa_node);
     },
     nullptr, is_pci},
    {"power_state", [](const DriverCore&, const Owner&) { return std::string("unknown\n"); },
     nullptr, is_pci},
    {"remove", nullptr,
     [](DriverCore& c, const Owner& o, std::string_view text) { return c.remove(o.device, text); },
     is_pci},
    {"rescan", nullptr,
     [](DriverCore& c, const Owner&, std::string_view text) { return c.rescan(text); }, is_pci},
    {"resource", show_resource, nullptr, is_pci},
    {"revision",
     [](const DriverCore& c, const Owner& o) {
       return fmt::format("0x{:02x}\n", device_of(c, o).revision);
     },
     nullptr, is_pci},
    {"sriov_drivers_autoprobe",
     [](const DriverCore& c, const Owner& o) {
       return std::string(device_of(c, o).vf_autoprobe ? "1\n" : "0\n");
     },
     [](DriverCore& c, const Owner& o, std::string_view text) {
       return c.sriov_drivers_autoprobe(o.device, text);
     },
     is_pf},
    {"sriov_numvfs",
     [](const DriverCore& c, const Owner& o) {
       return fmt::format("{}\n", count_vfs(c, device_of(c, o)));
     },
     nullptr, is_pf},
    {"sriov_totalvfs",
     [](const DriverCore& c, const Owner& o) {
       return fmt::format("{}\n", device_of(c, o).total_vfs);
     },
     nullptr, is_pf},
    {"subsystem_device", show_id<&Device::subdevice>, nullptr, is_pci},
    {"subsystem_vendor", show_id<&Device::subvendor>, nullptr, is_pci},
    {"uevent", show_uevent,
     [](DriverCore& c, const Owner& o, std::string_view text) {
       return c.synthetic_uevent(o.device, text);
     },
     nullptr},
    {"vendor", show_id<&Device::vendor>, nullptr, is_pci},
    {"waiting_for_supplier", [](const DriverCore&, const Owner&) { return std::string("0\n"); },
     nullptr, [](const DriverCore& c, const Owner& o) { return !is_pci(c, o); }},
}};

std::span<const Attribute> attributes_of(const Owner& owner) {
  if (owner.device != 0) return kDeviceAttributes;
  if (!owner.driver.empty()) return kDriverAttributes;
  return kBusAttributes;
}

const Attribute* find_attribute(const DriverCore& core, const Owner& owner, std::string_view name) {
  for (const Attribute& attribute : attributes_of(owner)) {
    const bool applies = attribute.applies == nullptr || attribute.applies(core, owner);
    if (attribute.name == name && applies) return &attribute;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> attribute_names(const DriverCore& core, const Owner& owner) {
  std::vector<std::string> out;
  for (const Attribute& attribute : attributes_of(owner)) {
    if (find_attribute(core, owner, attribute.name) != nullptr) out.emplace_back(attribute.name);
  }
  return out;
}

bool has_attribute(const DriverCore& core, const Owner& owner, std::string_view name) {
  return find_attribute(core, owner, name) != nullptr;
}

Reply<std::string> show_attribute(const DriverCore& core, const Owner& owner,
                                  std::string_view name) {
  const Attribute* attribute = find_attribute(core, owner, name);
  if (attribute == nullptr) return std::unexpected(Errno{ENOENT});
  if (attribute->show == nullptr) return std::unexpected(Errno{EACCES});
  return attribute->show(core, owner);
}

Reply<std::size_t> store_attribute(DriverCore& core, const Owner& owner, std::string_view name,
                                   std::string_view bytes) {
  constexpr std::size_t kPage = 4096;
  const Attribute* attribute = find_attribute(core, owner, name);
  if (attribute == nullptr) return std::unexpected(Errno{ENOENT});
  if (attribute->store == nullptr) return std::unexpected(Errno{EACCES});
  if (bytes.empty()) return 0;
  bytes = bytes.substr(0, kPage);
  if (const auto reply = attribute->store(core, owner, bytes); !reply)
    return std::unexpected(reply.error());
  return bytes.size();
}

}  // namespace anybind::drivercore
