// Written by hand rather than through a TOML tree: the order of keys is part of what people read.
#include <map>

#include <fmt/format.h>

#include "drivercore/machine.h"
#include "drivercore/machine_ids.h"

namespace anybind::drivercore {
namespace {

/// A TOML basic string.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

template <class List, class Format>
std::string list_of(const List& list, Format format) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : ", ") + quoted(format(item));
  return "[" + out + "]";
}

std::string same(const std::string& text) {
  return text;
}

class Table {
 public:
  explicit Table(std::string_view heading) : out_(fmt::format("\n[[{}]]\n", heading)) {}
  Table& text(std::string_view key, std::string_view value) { return raw(key, quoted(value)); }
  Table& raw(std::string_view key, std::string_view value) {
    out_ += fmt::format("{} = {}\n", key, value);
    return *this;
  }
  Table& flag(std::string_view key, bool value, bool otherwise) {
    return value == otherwise ? *this : raw(key, value ? "true" : "false");
  }
  [[nodiscard]] const std::string& str() const { return out_; }

 private:
  std::string out_;
};

std::string driver_table(const Driver& driver) {
  Table out("driver");
  out.text("name", driver.name);
  if (driver.bus != "pci") out.text("bus", driver.bus);
  const bool built_in = driver.built_in || driver.module.empty();
  out.flag("built_in", built_in, false);
  if (driver.module != (built_in ? "" : driver.name)) out.text("module", driver.module);
  if (!driver.ids.empty()) out.raw("ids", list_of(driver.ids, format_pci_id));
  if (!driver.names.empty()) out.raw("names", list_of(driver.names, same));
  if (!driver.dynamic_ids.empty())
    out.raw("dynamic_ids", list_of(driver.dynamic_ids, format_pci_id));
  out.flag("managed_dma", driver.managed_dma, false);
  out.flag("needs_group", driver.needs_group, false);
  out.flag("suppress_bind", driver.suppress_bind, false);
  out.flag("loaded", driver.registered, true);
  if (driver.probe.result != 0) out.text("probe", format_probe(driver.probe.result));
  std::string special;
  for (const auto& [device, result] : driver.probe.per_device) {
    special +=
        (special.empty() ? "" : ", ") + quoted(device) + " = " + quoted(format_probe(result));
  }
  if (!special.empty()) out.raw("probe_of", "{ " + special + " }");
  return out.str();
}

std::string children_of(const Device& device) {
  std::map<std::string, std::vector<std::string>> kinds;
  for (const Child& child : device.children) kinds[child.kind].push_back(child.name);
  std::string out;
  for (const auto& [kind, names] : kinds) {
    out += (out.empty() ? "" : ", ") + quoted(kind) + " = " + list_of(names, same);
  }
  return "{ " + out + " }";
}

std::string device_table(const State& state, DeviceKey key, const Device& d) {
  Table out("device");
  out.text(d.bus == "pci" ? "address" : "name", d.name);
  if (d.bus != "pci") out.text("bus", d.bus);
  if (d.bus == "pci") {
    out.text("id", fmt::format("{:04x}:{:04x}", d.vendor, d.device));
    out.text("subsystem", fmt::format("{:04x}:{:04x}", d.subvendor, d.subdevice));
    out.text("class", fmt::format("{:06x}", d.class_code));
  }
  if (d.revision != 0) out.text("revision", fmt::format("{:02x}", d.revision));
  if (d.group) out.raw("group", std::to_string(*d.group));
  if (!d.parent.empty()) out.text("parent", d.parent);
  if (!d.physfn.empty()) out.text("physfn", d.physfn);
  if (d.total_vfs != 0) out.raw("total_vfs", std::to_string(d.total_vfs));
  out.flag("vf_autoprobe", d.vf_autoprobe, true);
  if (d.numa_node != -1) out.raw("numa_node", std::to_string(d.numa_node));
  out.flag("boot_vga", d.boot_vga, false);
  if (!d.children.empty()) out.raw("children", children_of(d));
  out.flag("present", d.present, true);
  out.flag("removed", d.dead && d.present, false);
  out.flag("deferred", d.deferred, false);
  if (d.driver_override) out.text("driver_override", *d.driver_override);
  out.text("driver", d.driver ? state.drivers.at(*d.driver).name : "none");
  out.raw("instance", std::to_string(key));
  return out.str();
}

}  // namespace

std::string save_machine(const State& state) {
  std::string out =
      fmt::format("kernel = {}\niommu = {}\nseqnum = {}\nnext_instance = {}\n",
                  quoted(state.profile.name), state.iommu, state.seqnum, state.next_key);
  for (const auto& [name, bus] : state.buses) {
    if (!bus.autoprobe) out += Table("bus").text("name", name).flag("autoprobe", false, true).str();
  }
  // Drivers in the order of their registration, which decides who comes first; then those not
  // loaded.
  for (const auto& [name, bus] : state.buses) {
    for (const DriverKey key : bus.drivers) out += driver_table(state.drivers.at(key));
  }
  for (const auto& [key, driver] : state.drivers) {
    if (!driver.registered) out += driver_table(driver);
  }
  for (const auto& [number, group] : state.groups) {
    if (group.held)
      out += Table("group").raw("number", std::to_string(number)).flag("held", true, false).str();
  }
  for (const auto& [name, bus] : state.buses) {
    for (const DeviceKey key : bus.devices) out += device_table(state, key, state.devices.at(key));
  }
  for (const DeviceKey key : state.drawer) out += device_table(state, key, state.devices.at(key));
  return out;
}

}  // namespace anybind::drivercore
