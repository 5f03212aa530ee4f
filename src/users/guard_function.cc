// What sysfs alone tells: the display, the console, keyboards, virtual functions, and what a bridge
// carries.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/vfio_driver.h"
#include "users/guard_target.h"

namespace anybind::guards {
namespace {

constexpr std::size_t kMostBelow = 1024;  // functions below one bridge

/// The console driver that writes to frame buffers, when it is at work: "vtcon1"
/// (drivers/tty/vt/vt.c, vtcon_class). Which of them it writes to is not shown.
std::string framebuffer_console(Sysfs& root) {
  for (const std::string& name : entries(root, "class/vtconsole")) {
    const std::string dir = "class/vtconsole/" + name;
    if (attribute(root, dir + "/bind") == "1" &&
        attribute(root, dir + "/name").contains("frame buffer device"))
      return name;
  }
  return "";
}

/// Has the keys 1 to 31, by which udev too tells a keyboard from a power button.
bool is_keyboard(Sysfs& root, const std::string& name) {
  const std::string keys = attribute(root, "class/input/" + name + "/capabilities/key");
  const auto words = words_of(keys);
  const auto last = words.empty() ? std::nullopt : parse_hex(words.back());
  constexpr std::uint64_t kKeys = 0xFFFFFFFE;
  return last && (*last & kKeys) == kKeys;
}

void look_at_virtual_functions(Sysfs& root, const Target& target, Findings& out) {
  const std::string count = target.dir ? attribute(*target.dir, "sriov_numvfs")
                                       : attribute(root, target.real + "/sriov_numvfs");
  if (count == "0") return;
  // No number, but functions: somebody's tree, or a kernel that says it elsewhere.
  if (count.empty() && !root.read_link(target.real + "/virtfn0")) return;
  for (const std::string& entry : entries(root, target.real)) {
    if (!entry.starts_with("virtfn")) continue;
    const auto driver = root.read_link(fmt::format("{}/{}/driver", target.real, entry));
    if (!driver) continue;
    out.add(target, "vf-in-use",
            fmt::format("its virtual function {} is on {}", entry.substr(6), link_name(*driver)),
            "unbind its virtual functions first");
  }
}

void look_at_bridge(Sysfs& root, const Target& target, Findings& out) {
  if (!attribute(root, target.real + "/class").starts_with("0x06")) return;
  std::vector<std::string> todo = {target.real};
  for (std::size_t seen = 0; !todo.empty() && seen < kMostBelow; ++seen) {
    const std::string dir = todo.back();
    todo.pop_back();
    for (const std::string& name : entries(root, dir)) {
      const auto address = PciAddress::parse(name);
      if (!address || !address->function || address->str() != name) continue;
      todo.push_back(fmt::format("{}/{}", dir, name));
      const auto driver = root.read_link(todo.back() + "/driver");
      if (!driver || link_name(*driver) == "pcieport") continue;
      out.add(target, "bridge", fmt::format("{} behind it is on {}", name, link_name(*driver)),
              {Action::kUnbind, {name}});
    }
  }
}

/// A function that is locked for a confidential guest: Documentation/ABI/testing/sysfs-bus-pci of
/// Linux 6.19, .../tsm/bound, the name of the security manager that holds it.
void look_at_confidential(Sysfs& root, const Target& target, Findings& out) {
  const std::string by = target.dir ? attribute(*target.dir, "tsm/bound")
                                    : attribute(root, target.real + "/tsm/bound");
  if (!by.empty())
    out.add(target, "tsm-bound", fmt::format("it is locked for a confidential guest, by {}", by),
            "end that guest");
}

}  // namespace

void look_at_display(Sysfs& root, const Target& target, Findings& out) {
  if (attribute(root, target.real + "/boot_vga") == "1") {
    out.add(target, "boot-display", "it is the display that the firmware used",
            "use another display, or none");
  }
  for (const std::string& name : target.displays) {
    const std::string console = name.starts_with("fb") ? framebuffer_console(root) : "";
    if (console.empty()) continue;
    out.add(target, "console", fmt::format("the text console may be on its frame buffer {}", name),
            fmt::format("echo 0 > /sys/class/vtconsole/{}/bind", console));
  }
  const std::string consoles = attribute(root, "class/tty/console/active");
  for (const std::string_view console : words_of(consoles)) {
    if (!contains(target.ports, console)) continue;
    out.add(target, "console", fmt::format("{} is a console of the kernel", console),
            "boot with another console= on the kernel command line");
  }
  for (const std::string& name : target.inputs) {
    if (!name.starts_with("input") || !is_keyboard(root, name)) continue;
    const std::string what = attribute(root, "class/input/" + name + "/name");
    out.add(target, "input", fmt::format("a keyboard hangs on it: {}", what),
            "use another keyboard, or none");
  }
}

void look_at_functions(Sysfs& root, const Target& target, Findings& out) {
  if (target.device.bus.str() != "pci") return;
  look_at_virtual_functions(root, target, out);
  look_at_confidential(root, target, out);
  // vfio-pci takes no bridge (drivers/vfio/pci/vfio_pci_core.c:vfio_pci_core_register_device).
  const bool may_be_bridge = target.driver && !is_vfio_driver(target.driver->str());
  if (may_be_bridge) look_at_bridge(root, target, out);
}

}  // namespace anybind::guards
