// The modules of VFIO: are they there, does something keep them away, does something bind more than
// was meant?
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"
#include "doctor/checks.h"
#include "inventory/vfio_driver.h"

namespace anybind::doctor {
namespace {

/// The devices that a list of ids "10de:1b80,8086:10d3:SV:SD:CLASS:MASK" names, which a driver
/// takes for its own while its module loads (drivers/vfio/pci/vfio_pci.c:vfio_pci_fill_ids).
std::vector<std::string> named_by(const Observed& seen, std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    std::array<std::optional<std::uint64_t>, 6> field;
    std::string_view rest = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    std::size_t count = 0;
    for (; !rest.empty() && count < field.size(); ++count) {
      const auto colon = std::min(rest.find(':'), rest.size());
      field[count] = parse_hex(rest.substr(0, colon), UINT32_MAX);
      rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
    if (count < 2 || !field[0] || !field[1]) continue;
    const auto fits = [&](std::size_t i, std::uint32_t value) {
      return i >= count || !field[i] || *field[i] == UINT32_MAX || *field[i] == value;
    };
    const std::uint64_t mask = count > 5 ? field[5].value_or(0) : 0;
    for (const Device& device : seen.pci) {
      if (!device.pci) continue;
      const PciIds& ids = *device.pci;
      if (fits(0, ids.vendor) && fits(1, ids.device) && fits(2, ids.subvendor) &&
          fits(3, ids.subdevice) && ((field[4].value_or(0) ^ ids.class_code) & mask) == 0)
        out.push_back(device.id.str());
    }
  }
  return out;
}

std::string takes(const Observed& seen, const std::string& what, std::string_view ids) {
  const auto names = named_by(seen, ids);
  return fmt::format("{} takes every device of these types as it loads{}", what,
                     names.empty() ? ", of which there is none now" : ": " + some_of(names));
}

Remark and_bind_by_device() {
  return ", and bind by device: " + Remark(Action::kBind, {"DEVICE", "vfio-pci"});
}

/// A line that keeps modprobe from loading `module`: "install vfio-pci /bin/false".
const ConfigLine* forbids(const Observed& seen, std::string_view module) {
  for (const ConfigLine& line : seen.modprobe) {
    if (line.words.size() < 3 || line.words[0] != "install") continue;
    const std::string_view command = link_name(line.words[2]);
    if (module_name(line.words[1]) == module && (command == "false" || command == "true"))
      return &line;
  }
  return nullptr;
}

/// The kernel itself refuses to load what is named here.
bool is_blacklisted(const Observed& seen, std::string_view module) {
  const std::string list = parameter(seen, "module_blacklist").value_or("");
  return ("," + module_name(list) + ",").contains(fmt::format(",{},", module));
}

/// Says of a module that is not there yet what stands in its way; true when something does.
bool obstacles(const Observed& seen, std::string_view module, Report& out) {
  if (is_blacklisted(seen, module)) {
    out.problem("the kernel refuses to load it: it is in module_blacklist= of its command line",
                how_to_remove(seen, "module_blacklist=" + *parameter(seen, "module_blacklist")));
    return true;
  }
  const ConfigLine* line = forbids(seen, module);
  if (line == nullptr) return false;
  out.problem(fmt::format("{} keeps it from being loaded: {}", line->file,
                          fmt::format("install {} {}", line->words[1], line->words[2])),
              fmt::format("remove that line of {}", line->file));
  return true;
}

void say_unavailable(const Observed& seen, ModuleState state, Report& out) {
  const std::string& release = seen.host.release;
  if (state == ModuleState::kMissing) {
    out.problem(fmt::format("the kernel {} has no such module", release),
                release.contains("cloud")
                    ? "install a kernel that is not for the cloud: apt install linux-image-amd64"
                    : "install a kernel with CONFIG_VFIO_PCI, or its package of further modules");
  } else {
    out.problem(fmt::format("not loaded, and /lib/modules/{} is not there", release),
                "reboot, if the kernel was replaced; else install its modules");
  }
}

}  // namespace

void check_vfio_pci(const Observed& seen, Report& out) {
  const Host& host = seen.host;
  const bool is_here = host.sysfs.open_dir("bus/pci/drivers/vfio-pci").has_value();
  if (host.release.empty()) {
    if (is_here) return out.ok("the driver is there");
    if (host.modules != nullptr && host.modules->find("vfio-pci"))
      return out.ok("not loaded; bind loads it");
    return out.problem("there is no driver vfio-pci", "modprobe vfio-pci");
  }
  const ModuleState state = module_state(host, "vfio-pci.ko");
  if (is_here) return out.ok(state == ModuleState::kBuiltIn ? "built in" : "loaded");
  if (obstacles(seen, "vfio_pci", out)) return;
  if (state == ModuleState::kMissing || state == ModuleState::kUnknown)
    return say_unavailable(seen, state, out);
  if (state == ModuleState::kBuiltIn) {
    return out.problem("built into the kernel, but its driver has not registered",
                       "see why: dmesg | grep -i vfio");
  }
  out.ok("not loaded; bind loads it");
}

void check_vfio_iommu(const Observed& seen, Report& out) {
  const ModuleState state = module_state(seen.host, "vfio_iommu_type1.ko");
  switch (state) {
    case ModuleState::kLoaded:
      return out.ok("vfio_iommu_type1 is loaded");
    case ModuleState::kBuiltIn:
      return out.ok("vfio_iommu_type1 is built in");
    case ModuleState::kAvailable:
      if (obstacles(seen, "vfio_iommu_type1", out)) return;
      // modprobe loads it with vfio, for which it is a soft dependency; insmod does not.
      if (!seen.host.sysfs.open_dir("module/vfio"))
        return out.ok("vfio_iommu_type1 comes with vfio-pci");
      return out.warning("vfio is loaded without vfio_iommu_type1: no group can be used",
                         "modprobe vfio_iommu_type1");
    case ModuleState::kMissing:
    case ModuleState::kUnknown:
      break;
  }
  if (seen.host.files.status("dev/iommu")) return out.ok("iommufd serves instead");
  say_unavailable(seen, state, out);
}

void check_command_line(const Observed& seen, Report& out) {
  // By the IOMMU that is there, or else by what is known of the machine: a virtual machine may have
  // Intel's on a processor of AMD.
  const IommuMaker maker = seen.iommu.maker;
  const std::string other = maker == IommuMaker::kAmd     ? "intel_iommu"
                            : maker == IommuMaker::kIntel ? "amd_iommu"
                                                          : "";
  for (const std::string& word : seen.boot.words()) {
    const std::string name = module_name(word.substr(0, word.find('=')));
    if (name == other) {
      out.warning(fmt::format("{} is for the IOMMU of the other maker, and does nothing", word),
                  how_to_remove(seen, word));
    } else if (name == "vfio_pci.ids" || name == "pci_stub.ids") {
      out.warning(takes(seen, name.substr(0, name.find('.')), *parameter(seen, name)),
                  how_to_remove(seen, word) + and_bind_by_device());
    } else if (name == "pcie_acs_override") {
      out.warning(fmt::format("{} splits groups that the hardware does not isolate", word),
                  how_to_remove(seen, word));
    }
  }
  if (!out.empty()) return;
  std::string of_interest;
  for (const std::string& word : seen.boot.words()) {
    if (word.contains("iommu") || word.starts_with("vfio")) of_interest += " " + word;
  }
  out.ok(of_interest.empty() ? "nothing about the IOMMU or VFIO on the kernel command line"
                             : "on the kernel command line:" + of_interest);
}

void check_modprobe(const Observed& seen, Report& out) {
  for (const ConfigLine& line : seen.modprobe) {
    const auto& words = line.words;
    if (words.size() < 2) continue;
    const std::string fix = fmt::format("remove that line of {}", line.file);
    if (words[0] == "options" && is_for_user_space(words[1])) {
      for (const std::string& word : words) {
        if (word.starts_with("ids="))
          out.warning(takes(seen, words[1], word.substr(4)), fix + and_bind_by_device());
        if (word.starts_with("allow_unsafe_interrupts=") ||
            word.starts_with("enable_unsafe_noiommu_mode="))
          out.warning(fmt::format("{} sets {} of {}", line.file, word, words[1]), fix);
      }
    } else if (words[0] == "blacklist" && is_for_user_space(words[1])) {
      out.warning(fmt::format("{} blacklists {}: it loads only by its name", line.file, words[1]),
                  fix);
    } else if (words[0] == "softdep" &&
               std::any_of(words.begin() + 2, words.end(), is_for_user_space)) {
      out.warning(fmt::format("{}: softdep {} loads {} first, which decides only for ids of its "
                              "own",
                              line.file, words[1], words.back()),
                  fix + ", if anybind shall bind the device");
    }
  }
  if (out.empty()) out.ok("nothing about VFIO");
}

}  // namespace anybind::doctor
