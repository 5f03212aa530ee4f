#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"

namespace anybind {

/// The devices that a SELECTOR of the command line names, in address order, each once:
///   0000:03:00.0  03:00.0  03:00 (all functions)  pci_0000_03_00_0   addresses
///   platform/serial8250                                             bus/name
///   SYSFS/devices/...  SYSFS/bus/pci/devices/...                     a path in sysfs
///   eth0                  a network interface        nvme0, nvme0n1, sda   a block or nvme device
///                         (the device behind it that a driver would take: not virtio0, but the
///                         function that it is on)
///   id:8086:10d3[:SV:SD]  8086:10d3  class:network   group:7        driver:e1000e
///   a shell glob over the address, or over bus/name when it has a '/'
/// An empty field of id: is a wildcard, as in lspci -d. Classes are driverctl's words, those
/// that `list` prints, or hex digits. A full address costs no listing of the bus. kNotFound with
/// the nearest names when nothing matches (a glob that matches nothing too), kUsage when `text` has
/// none of these forms. Only sysfs is read. `sysfs_root` is what stands before a path in sysfs.
[[nodiscard]] Result<std::vector<DeviceId>> select_devices(Sysfs& root, std::string_view text,
                                                           std::string_view sysfs_root);

/// The union of several for who only looks: a selector that is understood and means no device is no
/// error. What it would have said is added to `none`. What names one thing (an address, an
/// interface, a group) that is not there is kNotFound here too.
[[nodiscard]] Result<std::vector<DeviceId>> select_what_there_is(
    Sysfs& root, const std::vector<std::string>& texts, std::string_view sysfs_root,
    std::vector<Error>& none);

/// Several selectors; the union in the order given, each device once. The first error ends it.
[[nodiscard]] Result<std::vector<DeviceId>> select_devices(Sysfs& root,
                                                           const std::vector<std::string>& texts,
                                                           std::string_view sysfs_root);

/// The same for a caller that opens each device anyway: a full address is only parsed, so that the
/// caller must say when there is no such device.
[[nodiscard]] Result<std::vector<DeviceId>> select_devices_unchecked(
    Sysfs& root, const std::vector<std::string>& texts, std::string_view sysfs_root);

/// Written like a device: an address, a path, bus/name, a glob, or a selector with a prefix; no
/// driver's name looks so. For telling a person that a device stands where a driver belongs.
[[nodiscard]] bool looks_like_device(std::string_view text);

}  // namespace anybind
