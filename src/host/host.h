#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/clock.h"
#include "host/declared_users.h"
#include "host/kernel_log.h"
#include "host/modules.h"
#include "host/proc.h"
#include "host/storage.h"
#include "host/sysfs.h"

namespace anybind {

/// When user space can have an IOMMU group: the group is viable.
enum class GroupRule : std::uint8_t {
  /// Linux 5.19 and later: when no driver of a member has claimed its DMA for the host
  /// (drivers/iommu/iommu.c:iommu_device_use_default_domain, before the driver's probe).
  kDmaOwnership,
  /// Before: when each member is on vfio-*, pci-stub or no driver, or is a PCI bridge
  /// (drivers/vfio/vfio.c:vfio_dev_viable).
  kDriverList,
};

/// By the release of the kernel, "6.12.1-amd64"; the newer rule for what is no such text.
[[nodiscard]] GroupRule group_rule(std::string_view release);

/// The operating system as one value, handed down to everything that looks at a machine or changes
/// it: this machine (host/this_machine.h), a made-up tree, or a lab. Nothing below it names a path
/// of a real machine, reads a clock or asks who we are. What is left out is not there: a bare Host
/// is a sysfs and nothing else, where nobody runs and nothing is kept.
/// Refers to its parts, which outlive it; a copy refers to the same ones.
struct Host {
  // NOLINTNEXTLINE(google-explicit-constructor,hicpp-explicit-conversions): most is about the sysfs
  Host(Sysfs& tree) : sysfs(tree) {}

  Sysfs& sysfs;
  std::string sysfs_root = "/sys";  ///< before its paths when people read them, never opened

  Proc proc{""};      ///< of the processes that may use its devices
  Proc own_proc{""};  ///< of the processes that we start ourselves
  Proc files{""};     ///< its root directory, of which etc, run, usr, lib and proc are read
  Proc run{""};       ///< its /run, where services tell what they do; a lab has its own
  std::string dev{};  ///< where its device nodes are: "/dev"; empty: it has none

  ModuleLoader* modules = nullptr;
  KernelLog* log = nullptr;
  Storage* storage = nullptr;  ///< what is remembered between two commands
  Storage* rules = nullptr;    ///< where rules are kept that a change declares (policy/own_rules.h)
  std::string rules_dir{};     ///< where that is, as people know it: "/etc/anybind.d"
  Clock* clock = &Clock::real();

  std::string boot{};  ///< names this boot, after which nothing that was remembered holds
  std::string
      command{};  ///< what we do, for the journal and for who waits: "bind 03:00.0 vfio-pci"
  std::string release{};                      ///< of its kernel: "6.12.1-amd64"; empty: not known
  GroupRule rule = GroupRule::kDmaOwnership;  ///< of its kernel

  bool has_uevents = false;  ///< listen_to_uevents() (host/uevents.h) tells of its devices
  bool is_root = false;
  std::optional<std::uint64_t> memlock{};   ///< RLIMIT_MEMLOCK in bytes; nullopt: no limit
  bool concurrent = false;                  ///< the sysfs may be used by several threads at once
  bool has_udev = false;                    ///< it may be slow to name an interface that has come
  bool has_users = true;                    ///< somebody may use the devices: not so in a dry run
  const DeclaredUsers* declared = nullptr;  ///< who uses them, where nobody can be seen: in a lab
  /// The address of this machine over which whoever gives the command is logged in, as people write
  /// it: "192.0.2.7"; empty: not known.
  std::string login{};
};

/// Names this boot (sys/kernel/random/boot_id); empty when it cannot be read.
[[nodiscard]] std::string boot_id(const Proc& proc);

}  // namespace anybind
