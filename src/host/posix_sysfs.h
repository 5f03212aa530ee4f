#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "host/sysfs.h"

namespace anybind {

/// The attributes of a device whose reading waits for the device's lock.
struct LockedAttributes {
  bool uevent = false;
  bool driver_override = false;  ///< writing it waits too
  bool sriov_numvfs = false;
};

/// Those of a kernel by its release, "6.12.117+deb12-amd64": `uevent` below 6.15, but not in 6.12
/// from .117 on; `driver_override` below 7.1 (of PCI below 7.0), but not in 6.12 from .114 on;
/// `sriov_numvfs` on all (linux drivers/pci/iov.c:sriov_numvfs_show).
[[nodiscard]] LockedAttributes locked_attributes(std::string_view release);

/// The tree at `root` on this machine: /sys, or a directory that looks like it. Needs Linux 5.6 or
/// later (openat2). Error kNotFound when `root` is no directory. The result may be used from
/// several threads. In a sysfs (by the running kernel's locked_attributes()) and in a lab, an
/// attribute that may wait is read by a child process of ours, which is left behind when it does.
[[nodiscard]] Result<std::unique_ptr<Sysfs>> open_sysfs(const std::string& root);

/// Whether what is done below `root` is done to this machine: `root` is on a file system of type
/// sysfs, wherever that is mounted and by whatever path, or is the directory `sys` itself, the /sys
/// of this process, whatever is mounted there (in a lab, the lab's). Anything else is a made-up
/// tree, and so is what is not there.
[[nodiscard]] bool is_of_this_machine(const std::string& root, const std::string& sys);

}  // namespace anybind
