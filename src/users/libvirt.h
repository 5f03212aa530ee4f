#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/proc.h"

// What libvirt itself writes down about PCI functions that it gives to virtual machines.
namespace anybind {

/// A <hostdev> of a domain.
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

/// The domains that run now and have PCI functions: run/libvirt/qemu/NAME.xml below the root
/// directory `files`, where they stand from the start of a domain to its end. None where they may
/// not be read.
[[nodiscard]] std::vector<LibvirtDomain> running_domains(const Proc& files);

}  // namespace anybind
