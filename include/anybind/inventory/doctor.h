#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "anybind/base/ids.h"
#include "anybind/host/modules.h"
#include "anybind/host/proc.h"
#include "anybind/host/sysfs.h"
#include "anybind/inventory/group.h"

namespace anybind {

enum class Verdict : std::uint8_t {
  kOk,
  kUnknown,  ///< could not be seen: `what` says why
  kWarning,  ///< works, or works for some devices only
  kProblem,  ///< no device of this machine can be used through VFIO as things are
};

/// "ok", "unknown", "warning", "problem".
[[nodiscard]] std::string_view verdict_word(Verdict verdict);

/// One verdict and, unless all is well, one fix. Names in the texts come from outside.
struct Finding {
  std::string check;  ///< stable: docs/doctor.md
  Verdict verdict = Verdict::kOk;
  std::string what;
  std::string fix;  ///< what to type or to change; empty when there is nothing to do
  friend bool operator==(const Finding&, const Finding&) = default;
};

/// A machine as doctor sees it.
struct Machine {
  Sysfs& sysfs;
  std::string sysfs_root;  ///< what stands before its paths in what is typed
  /// The root directory, of which proc, dev, etc, run, usr and lib are read; Proc("") where only
  /// sysfs is to be seen: a lab, another tree.
  Proc files{""};
  ModuleLoader* modules = nullptr;  ///< asked where `files` tells nothing
  std::string release{};            ///< of the running kernel
  GroupRule rule = GroupRule::kDmaOwnership;
  bool is_root = false;
  std::optional<std::uint64_t> memlock{};     ///< RLIMIT_MEMLOCK in bytes; nullopt: no limit
  std::vector<std::uint64_t> open_changes{};  ///< of anybind's journal
  bool changes_seen = true;                   ///< the journal could be read
};

/// Is this machine ready to give devices to user space: each check of docs/doctor.md, in its order.
/// Reads only; a few files for each PCI device. What cannot be read is left out or kUnknown.
[[nodiscard]] std::vector<Finding> examine(const Machine& machine);

/// No finding is a kProblem.
[[nodiscard]] bool is_ready(const std::vector<Finding>& findings);

}  // namespace anybind
