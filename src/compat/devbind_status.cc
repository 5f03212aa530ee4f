#include "compat/devbind_status.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind::compat {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ",") + printable(word);
  return out;
}

/// `near`: every device of its kind tells which node it is near to.
std::string line(const DevbindDevice& each, bool near) {
  const auto& driver = each.device.driver;
  std::string out = fmt::format("{} '{} {:04x}' ", printable(each.device.id.name.str()),
                                each.product, each.device.pci->device);
  const bool is_hosts = driver && !is_for_dpdk(driver->str());
  if (near && each.numa_node) out += fmt::format("numa_node={} ", *each.numa_node);
  if (is_hosts && each.is_network()) out += "if=" + joined(each.interfaces) + " ";
  if (driver) out += "drv=" + printable(driver->str()) + " ";
  out += "unused=" + joined(each.unused);
  if (is_hosts) out += each.active ? " *Active*" : " ";
  return out + "\n";
}

std::string section(const std::string& title, const std::vector<std::string>& lines) {
  std::string out = "\n" + title + "\n" + std::string(title.size(), '=') + "\n";
  for (const std::string& each : lines) out += each;
  return out;
}

std::string kind_status(const std::vector<DevbindDevice>& devices, const DevbindKind& kind) {
  std::vector<const DevbindDevice*> known;
  for (const DevbindDevice& each : devices) {
    if (std::ranges::find(each.kinds, kind.word) != each.kinds.end()) known.push_back(&each);
  }
  const bool near = std::ranges::all_of(
      known, [](const DevbindDevice* each) { return each->numa_node.has_value(); });
  std::vector<std::string> dpdk;
  std::vector<std::string> kernel;
  std::vector<std::string> none;
  for (const DevbindDevice* each : known) {
    const auto& driver = each->device.driver;
    auto& to = !driver ? none : is_for_dpdk(driver->str()) ? dpdk : kernel;
    to.push_back(line(*each, near));
  }
  if (known.empty()) return section(fmt::format("No '{}' devices detected", kind.title), {});
  std::string out;
  if (!dpdk.empty())
    out += section(fmt::format("{} devices using DPDK-compatible driver", kind.title), dpdk);
  if (!kernel.empty())
    out += section(fmt::format("{} devices using kernel driver", kind.title), kernel);
  if (!none.empty()) out += section(fmt::format("Other {} devices", kind.title), none);
  return out;
}

}  // namespace

std::string devbind_status(const std::vector<DevbindDevice>& devices, std::string_view kind) {
  std::string out;
  for (const DevbindKind& each : devbind_kinds()) {
    if (kind.empty() || kind == each.word) out += kind_status(devices, each);
  }
  return out;
}

}  // namespace anybind::compat
