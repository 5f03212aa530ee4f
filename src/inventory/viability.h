#pragma once

#include <string>
#include <vector>

#include "base/advice.h"
#include "base/ids.h"
#include "host/sysfs.h"
#include "inventory/group.h"
#include "inventory/vfio_refusal.h"

namespace anybind {

/// What one member of a group means for user space that wants the group.
struct MemberRole {
  GroupMember member;
  bool blocks = false;
  std::string why;  ///< in words: "blocks: ..."
};

/// Whether user space can have an IOMMU group, why it is as large as it is, and what would have to
/// change.
struct Viability {
  unsigned group = 0;
  bool viable = true;
  std::string rule;                    ///< of the running kernel, in words
  std::vector<MemberRole> members;     ///< all but the ones that are going, in address order
  std::vector<std::string> isolation;  ///< which is missing, as far as sysfs shows; may be empty
  std::vector<Remark> changes;         ///< what would make it viable; empty when it is
  /// By which VFIO refuses a group that is viable all the same; mostly empty.
  std::vector<VfioRefusal> refusals{};
};

/// Judges the group as if all of `going`, members of it, were on a user-space driver. Reads the
/// configuration space of the bridges above the first of them: only root sees all of it.
[[nodiscard]] Viability judge_group(Sysfs& root, const GroupView& group,
                                    const std::vector<DeviceId>& going, GroupRule rule);

/// Which access control (ACS) is missing between `device` and the rest of its group: what makes the
/// kernel put them together (drivers/iommu/iommu.c:pci_device_group). Quirks of the kernel for
/// single chips are not known; nothing is said of what cannot be read.
[[nodiscard]] std::vector<std::string> missing_isolation(Sysfs& root, const DeviceId& device,
                                                         const GroupView& group);

}  // namespace anybind
