#pragma once

#include <memory>
#include <string>
#include <vector>

#include "drivercore/core/kernel_profile.h"
#include "host/sysfs.h"

namespace anybind::contract {

/// Something that claims to behave like the Linux driver core: the model, or a real kernel in a
/// guest. Both have the same machine (machine.toml describes the guest of
/// tests/kernel/cases/contract.sh).
class Target {
 public:
  Target() = default;
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  virtual ~Target() = default;

  virtual Sysfs& sysfs() = 0;
  /// Loads or unloads a kernel module; false when that fails.
  virtual bool load(const std::string& module) = 0;
  virtual bool unload(const std::string& module) = 0;
  /// What the probe of the test driver td<number> answers from now on: 0, or an errno (517:
  /// deferred).
  virtual void set_probe(int number, int error) = 0;
  /// What the last probe of the test driver td<number> was given: "1234:11e8 7", or "" before the
  /// first.
  virtual std::string probed_id(int number) = 0;
  /// Events sent since the last call, of functions and drivers of the bus pci, of modules and of
  /// VFIO, each as its lines, without those that no two kernels have alike: SEQNUM, MAJOR, MINOR;
  /// and of devices that a driver has made, "remove usb/1-1".
  virtual std::vector<std::string> uevents() = 0;
  /// User space takes the IOMMU group of a PCI function that a VFIO driver has, and opens it; false
  /// when it cannot. One at a time.
  virtual bool hold(const std::string& device) = 0;
  virtual void let_go() = 0;
  /// Which statements hold on it.
  [[nodiscard]] virtual const drivercore::KernelProfile& kernel() const = 0;
  /// "model", or the release of the kernel.
  [[nodiscard]] virtual std::string name() const = 0;
};

/// Of the lines of one event, what uevents() gives: "ACTION=add DEVPATH=/module/x ...". Empty for
/// one that it leaves out.
std::string told(const std::vector<std::string>& lines);

/// The modelled kernel `profile` with the machine file at `machine`.
std::unique_ptr<Target> model_target(const std::string& machine, const std::string& profile);
/// The kernel that this program runs on. Only for a guest that is thrown away afterwards.
std::unique_ptr<Target> kernel_target();

}  // namespace anybind::contract
