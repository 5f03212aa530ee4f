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
///   driver:none           PCI functions without a driver           override:vfio-pci
///   vfs:eth0              the virtual functions of a device        numa:1
///   usb:046d:c52b         the interfaces of usb devices of these ids
///   3d:00.0-48:00.0  18:10.0-7  nvme1-23   a range of addresses, of functions, of names
///   a shell glob over the address, or else over the names of interfaces; over bus/name when it has
///   a '/'
///   several of these, with commas
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

/// The selectors of a list with commas, or the text itself when it is none: a device of that very
/// name (platform/x,y), a path.
[[nodiscard]] std::vector<std::string> parts_of_list(Sysfs& root, std::string_view text);

/// Means whatever fits, and names no device: a glob, a range, or a selector with a prefix.
[[nodiscard]] bool is_pattern(std::string_view text);

/// A glob that has no '/', or a range of names: it may mean interfaces by their names.
[[nodiscard]] bool may_mean_names(std::string_view text);
/// Whether such a text means the interface `name`.
[[nodiscard]] bool means_name(std::string_view text, const std::string& name);

/// Written like a device: an address, a path, bus/name, a glob, or a selector with a prefix; no
/// driver's name looks so. For telling a person that a device stands where a driver belongs.
[[nodiscard]] bool looks_like_device(std::string_view text);

}  // namespace anybind
