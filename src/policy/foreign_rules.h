#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "host/host.h"
#include "policy/rule.h"

// The declared state in the words of others: what they have left as rules, and rules as kernel
// parameters.
namespace anybind {

enum class ForeignRules : std::uint8_t {
  kDriverctl,  ///< /etc/driverctl.d
  kModprobe,   ///< `options vfio-pci ids=` of modprobe.d, and vfio-pci.ids of the command line
  kProxmox,    ///< hostpci lines of /etc/pve/qemu-server
};

/// Rules in TOML that say the same, with comments for people: where each comes from, which devices
/// an id catches now, and what no rule can say. Each rule of a device that is there pins its card.
/// kNotFound: there is nothing to import.
[[nodiscard]] Result<std::string> import_rules(const Host& host, ForeignRules from);

/// Rules as a parameter of the kernel, for vfio-pci from its first moment on.
struct KernelArguments {
  std::string parameter{};  ///< "vfio-pci.ids=10de:2684,10de:22ba"; empty: no rule is for vfio-pci
  std::vector<std::string> warnings{};  ///< devices that an id would catch and no rule means
};

/// The ids of the devices that rules give to vfio-pci now. The kernel goes by ids alone.
[[nodiscard]] Result<KernelArguments> kernel_arguments(const Host& host, const Spec& spec);

}  // namespace anybind
