// Who runs a virtual machine with a device, by what libvirt says. QEMU has the device open then,
// which is seen without libvirt too; but libvirt has it from before QEMU opens it until it has
// given the device back. Taking it in between is what makes the two fight. Before the file is
// there, while libvirt binds the devices of a domain, nothing tells of them: libvirt's own list of
// what it has detached is in its memory only (run/libvirt/hostdevmgr is about the settings of
// interfaces).
#include <fmt/format.h>

#include "base/text.h"
#include "users/guard_target.h"
#include "users/libvirt.h"

namespace anybind::guards {

void look_at_domains(const std::vector<LibvirtDomain>& domains, const std::vector<Target>& targets,
                     Findings& out) {
  for (const Target& target : targets) {
    if (target.device.bus.str() != "pci") continue;
    for (const LibvirtDomain& domain : domains) {
      for (const LibvirtDevice& device : domain.devices) {
        if (device.address != target.device.name.str()) continue;
        out.add(target, "libvirt",
                fmt::format("libvirt's domain {} runs with it{}", printable(domain.name),
                            device.managed ? ", and gives it back at its end" : ""),
                "shut that domain down: virsh shutdown " + shell_quote(domain.name));
      }
    }
  }
}

}  // namespace anybind::guards
