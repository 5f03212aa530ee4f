// Written by hand rather than through a TOML tree: the order of keys is part of what people read.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/core/machine_ids.h"
#include "drivercore/file/machine.h"

namespace anybind::drivercore {
namespace {

template <class List, class Format>
std::string list_of(const List& list, Format format) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : ", ") + toml_string(format(item));
  return "[" + out + "]";
}

std::string same(const std::string& text) {
  return text;
}

/// One table; what has its usual value is left out.
class Table {
 public:
  explicit Table(std::string_view heading) : out_(fmt::format("\n[[{}]]\n", heading)) {}
  Table& raw(std::string_view key, std::string_view value) {
    out_ += fmt::format("{} = {}\n", key, value);
    return *this;
  }
  Table& text(std::string_view key, std::string_view value, std::string_view otherwise = "") {
    return value == otherwise ? *this : raw(key, toml_string(value));
  }
  template <class Number>
  Table& number(std::string_view key, Number value, Number otherwise) {
    return value == otherwise ? *this : raw(key, std::to_string(value));
  }
  Table& flag(std::string_view key, bool value, bool otherwise = false) {
    return value == otherwise ? *this : raw(key, value ? "true" : "false");
  }
  template <class List, class Format>
  Table& list(std::string_view key, const List& list, Format format) {
    return list.empty() ? *this : raw(key, list_of(list, format));
  }
  [[nodiscard]] const std::string& str() const { return out_; }

 private:
  std::string out_;
};

std::string probes_of(const Driver& driver) {
  std::string out;
  for (const auto& [device, result] : driver.probe.per_device) {
    out +=
        (out.empty() ? "" : ", ") + toml_string(device) + " = " + toml_string(format_probe(result));
  }
  return "{ " + out + " }";
}

std::string_view sriov_name(Sriov sriov) {
  if (sriov == Sriov::kNone) return "none";
  return sriov == Sriov::kLeaves ? "leaves" : "removes";
}

std::string driver_table(const State& state, const Driver& driver) {
  Table out("driver");
  out.text("name", driver.name).text("bus", driver.bus, "pci");
  out.flag("built_in", driver.built_in);
  const std::string usual = driver.built_in ? "" : driver.name;
  if (driver.module.empty() && !driver.built_in) out.flag("built_in", true);
  if (!driver.module.empty()) out.text("module", driver.module, usual);
  out.list("ids", driver.ids, format_pci_id).list("names", driver.names, same);
  out.list("aliases", driver.aliases, same);
  out.list("dynamic_ids", driver.dynamic_ids, format_pci_id);
  out.list("dynamic_names", driver.dynamic_names, same);
  out.flag("sysfs_bind_only", driver.sysfs_bind_only, has_override_only_id(driver));
  out.flag("autoprobe", driver.autoprobe, !driver.sysfs_bind_only);
  out.flag("managed_dma", driver.managed_dma).flag("needs_group", driver.needs_group);
  out.flag("suppress_bind", driver.suppress_bind).flag("async", driver.async_probe);
  const Sriov usual_sriov = driver.needs_group ? Sriov::kRemoves : Sriov::kNone;
  if (driver.sriov != usual_sriov) out.text("sriov", sriov_name(driver.sriov));
  out.flag("enable_sriov", driver.enable_sriov);
  out.flag("loaded", driver.registered, true);
  out.text("probe", format_probe(driver.probe.result), "ok");
  if (!driver.probe.per_device.empty()) out.raw("probe_of", probes_of(driver));
  if (driver.probed_id) out.text("probed_id", format_pci_id(*driver.probed_id));
  out.number("instance", driver.registration, 0U);
  if (!std::ranges::is_sorted(driver.bound)) {
    out.list("bound", driver.bound, [&](DeviceKey key) { return state.devices.at(key).name; });
  }
  return out.str();
}

/// A table, or a list of them where a kind comes again behind another: their order is kept.
std::string children_of(const Device& device) {
  std::vector<std::map<std::string, std::vector<std::string>>> tables;
  std::vector<std::vector<std::string>> kinds;  ///< of each table, as they come
  std::string last;
  for (const Child& child : device.children) {
    const bool again = child.kind != last && !tables.empty() && tables.back().contains(child.kind);
    if (tables.empty() || again) {
      tables.emplace_back();
      kinds.emplace_back();
    }
    if (!tables.back().contains(child.kind)) kinds.back().push_back(child.kind);
    tables.back()[child.kind].push_back(child.name);
    last = child.kind;
  }
  std::string out;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    std::string table;
    for (const std::string& kind : kinds[i]) {
      table += (table.empty() ? "" : ", ") + toml_string(kind) + " = " +
               list_of(tables[i].at(kind), same);
    }
    out += (out.empty() ? "" : ", ") + ("{ " + table + " }");
  }
  return tables.size() == 1 ? out : "[" + out + "]";
}

void put_hardware(Table& out, const Device& d) {
  if (d.bus == "pci") {
    out.text("id", fmt::format("{:04x}:{:04x}", d.vendor, d.device));
    out.text("subsystem", fmt::format("{:04x}:{:04x}", d.subvendor, d.subdevice), "0000:0000");
    out.text("class", fmt::format("{:06x}", d.class_code), "000000");
    out.text("revision", fmt::format("{:02x}", d.revision), "00");
  }
  if (d.group) out.raw("group", std::to_string(*d.group));
  out.text("parent", d.parent).text("physfn", d.physfn);
  out.number("total_vfs", d.total_vfs, 0U).flag("vf_autoprobe", d.vf_autoprobe, true);
  if (d.vf_device != 0) out.text("vf_device", fmt::format("{:04x}", d.vf_device));
  out.number<unsigned>("vf_offset", d.vf_offset, 1).number<unsigned>("vf_stride", d.vf_stride, 1);
  out.number("numa_node", d.numa_node, -1).flag("boot_vga", d.boot_vga);
  out.text("serial", d.serial);
  out.flag("reset", d.can_reset, d.class_code >> 16 != 0x06);
  out.flag("bus_reset", d.bus_reset).flag("reset_off", d.reset_off).text("modalias", d.modalias);
  if (!d.children.empty()) out.raw("children", children_of(d));
  out.list("in_use", d.in_use, same);
}

/// TOML holds Unicode, and user space may have written anything.
void put_override(Table& out, const std::string& text) {
  const bool plain =
      std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (plain) {
    out.raw("driver_override", toml_string(text));
    return;
  }
  std::string digits;
  for (const char c : text) digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
  out.raw("driver_override_bytes", toml_string(digits));
}

std::string device_table(const State& state, DeviceKey key, const Device& d) {
  Table out("device");
  out.text(d.bus == "pci" ? "address" : "name", d.name).text("bus", d.bus, "pci");
  put_hardware(out, d);
  out.flag("present", d.present, true).flag("removed", d.gone && d.present);
  if (d.driver_override) put_override(out, *d.driver_override);
  out.text("driver_probe_id", d.probe_id);
  if (!d.gone) out.text("driver", d.driver ? state.drivers.at(*d.driver).name : "none");
  if (d.vfio) out.raw("vfio", std::to_string(*d.vfio));
  out.flag("open", d.open);
  out.raw("instance", std::to_string(key));
  return out.str();
}

/// Those that are there without being told.
std::set<std::string> buses_of(const State& state) {
  std::set<std::string> out = {"pci", "platform"};
  for (const auto& [key, driver] : state.drivers) out.insert(driver.bus);
  for (const auto& [key, device] : state.devices) out.insert(device.bus);
  return out;
}

std::string top_of(const State& state) {
  std::string out =
      fmt::format("kernel = {}\niommu = {}\nseqnum = {}\nnext_instance = {}\n",
                  toml_string(state.profile.name), state.iommu, state.seqnum, state.next_key);
  const auto name_of = [&](DeviceKey key) {
    const Device& device = state.devices.at(key);
    return device.bus == "pci" ? device.name : device.bus + "/" + device.name;
  };
  if (!state.deferred.empty()) {
    out += fmt::format("deferred = {}\n", list_of(state.deferred, name_of));
  }
  if (!state.said_removed.empty()) {
    out += fmt::format("said_removed = {}\n", list_of(state.said_removed, same));
  }
  return out;
}

}  // namespace

std::string save_machine(const State& state) {
  std::string out = top_of(state);
  const auto used = buses_of(state);
  for (const auto& [name, bus] : state.buses) {
    if (bus.autoprobe && used.contains(name)) continue;
    out += Table("bus").text("name", name).flag("autoprobe", bus.autoprobe, true).str();
  }
  for (const auto& [name, module] : state.modules) {
    Table table("module");
    table.text("name", name).flag("loaded", module.loaded, true);
    std::string parameters;
    for (const auto& [key, value] : module.parameters)
      parameters +=
          (parameters.empty() ? "" : ", ") + toml_string(key) + " = " + toml_string(value);
    if (!parameters.empty()) table.raw("parameters", "{ " + parameters + " }");
    out += table.str();
  }
  for (const auto& [key, driver] : state.drivers) out += driver_table(state, driver);
  for (const auto& [number, group] : state.groups) {
    if (!group.held && group.type == Group::kUsualType && group.regions.empty()) continue;
    Table table("group");
    table.raw("number", std::to_string(number)).flag("held", group.held);
    table.list("reserved_regions", group.regions, same);
    out += table.text("type", group.type, Group::kUsualType).str();
  }
  for (const auto& [key, device] : state.devices) {
    if (!device.gone) out += device_table(state, key, device);
  }
  for (const DeviceKey key : state.drawer) out += device_table(state, key, state.devices.at(key));
  return out;
}

}  // namespace anybind::drivercore
