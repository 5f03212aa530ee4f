#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/proc.h"

// What libvirt itself writes down about PCI functions that it gives to virtual machines.
namespace anybind {

/// A <hostdev> of a domain, an <interface type='hostdev'> or a <disk type='nvme'>.
struct LibvirtDevice {
  std::string address;   ///< "0000:06:00.0"
  bool managed = false;  ///< libvirt binds it by itself, and gives it back
  friend bool operator==(const LibvirtDevice&, const LibvirtDevice&) = default;
};

/// A domain, of the XML that libvirt has written of it.
struct LibvirtDomain {
  std::string name;  ///< as it came
  std::vector<LibvirtDevice> devices{};
};

/// The PCI functions in the text of a domain. What is not as libvirt writes it is left out.
[[nodiscard]] std::vector<LibvirtDevice> libvirt_devices(std::string_view xml);

/// The domains that run now and have PCI functions: libvirt/qemu/NAME.xml below `run`, where they
/// stand from before the first instruction of QEMU until libvirt has given its devices back. None
/// where they may not be read.
[[nodiscard]] std::vector<LibvirtDomain> running_domains(const Proc& run);

}  // namespace anybind
