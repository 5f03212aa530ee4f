#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "host/sysfs.h"

namespace anybind {

/// The path that `path` stands for when every link on the way is followed, relative to the root of
/// sysfs: "class/net/eth0" -> "devices/pci0000:00/0000:00:03.0/net/eth0". ENOENT when there is no
/// such path, ELOOP past 40 links, EXDEV when a link leads out of the tree.
[[nodiscard]] Reply<std::string> real_path(Sysfs& root, std::string_view path);

/// The real path of a device's directory: "devices/pci0000:00/0000:00:03.0". `id.path()` where the
/// tree has a directory in the place of the link.
[[nodiscard]] std::string read_syspath(Sysfs& root, const DeviceId& id);

/// The bus devices at or above a real path, nearest first, up to and with the first that a person
/// would hand to a driver: buses that a controller's own driver makes up (virtio, scsi, auxiliary
/// ...) are passed on the way. Empty when there is none.
[[nodiscard]] std::vector<DeviceId> devices_above(Sysfs& root, std::string_view real_path);

/// The real paths of the controllers of an NVMe namespace that the kernel keeps at
/// devices/virtual/nvme-subsystem/SUBSYSTEM/nvme0n1 because it may have several of them; `path` is
/// its own. Empty for anything else.
[[nodiscard]] std::vector<std::string> nvme_paths(Sysfs& root, const std::string& path);

/// Names of the kernel interfaces that a device has, as "net:eth0", "block:nvme0n1", "drm:card0",
/// by bus device, sorted. A disk behind virtio0 is listed under virtio0 and under the PCI function.
/// Reads one link and a few more per interface of the machine, whatever the number of devices.
using UsersByDevice = std::map<DeviceId, std::vector<std::string>>;
[[nodiscard]] UsersByDevice read_users(Sysfs& root);

/// By which name people know a device: a network interface, a disk, a graphics card.
/// devices_behind() finds it by that. Without names that say less than another of the same device:
/// "nvme0n1" and not "nvme0", "card0" and not "renderD128". Reads a few classes only.
using NamesByDevice = std::map<DeviceId, std::vector<std::string>>;
[[nodiscard]] NamesByDevice read_names(Sysfs& root);

/// The devices behind an interface named as people do: eth0, nvme0, nvme0n1, sda, card0. Several
/// for an NVMe namespace with several paths; empty when there is no such interface.
[[nodiscard]] std::vector<DeviceId> devices_behind(Sysfs& root, std::string_view interface);

/// All names that devices_behind() knows.
[[nodiscard]] std::vector<std::string> read_interface_names(Sysfs& root);

}  // namespace anybind
