#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/sysfs.h"
#include "operation.h"

namespace anybind::conformance {

/// What was sent, each "action@devpath KEY=VALUE ...", without SEQNUM.
struct Uevents {
  std::vector<std::string> lines;
  /// The retries of deferred devices were set going, or probes are asynchronous. Linux does them
  /// beside whoever set them going, so that only the order of the events of one device is
  /// determined.
  bool beside_workers = false;
};

/// What of a kernel is compared after each operation, by what a person would call it.
using Snapshot = std::map<std::string, std::string>;

/// One of the two kernels that are compared: the running one, or the model.
class Twin {
 public:
  Twin() = default;
  Twin(const Twin&) = delete;
  Twin& operator=(const Twin&) = delete;
  virtual ~Twin() = default;

  virtual Sysfs& sysfs() = 0;
  /// 0 or the errno; how many bytes a write took is part of it: "0 of 5".
  virtual std::string apply(const Operation& operation) = 0;
  /// Adds to `out` what was sent since the last call, of the subsystems that are compared.
  virtual void take_uevents(Uevents& out) = 0;
  virtual Snapshot look() = 0;
};

/// The kernel of the guest that this runs in. `targets` must outlive it.
[[nodiscard]] std::unique_ptr<Twin> real_twin(const Targets& targets);
/// Brings that kernel back to where rounds start from: every card in its slot, the modules freshly
/// loaded, and every card removed and found again, so that they are registered in the order of
/// their addresses, which is what a capture takes for the order that sysfs does not show. False,
/// with a message on standard error, when that cannot be had.
[[nodiscard]] bool start_over(Twin& real, const Targets& targets);

/// A model captured from `real`.
class Model : public Twin {
 public:
  /// What became of the model, and what the caller was told.
  struct Outcome;
  /// This machine after `operation`; this one is not to be used any more. Two when retries of
  /// deferred devices were set going: after the caller has ended, and at once. The running kernel
  /// has one of them.
  [[nodiscard]] virtual std::vector<Outcome> outcomes(const Operation& operation) = 0;
  /// Workers may still be busy with what nobody sees: a probe that fails.
  [[nodiscard]] virtual bool has_busy_workers() const = 0;
};
struct Model::Outcome {
  std::unique_ptr<Model> model;
  std::string answer;
  /// Why the operation is not to be done to the running kernel: it would not come back, or not be
  /// well afterwards. Empty: it can be done.
  std::string left_out;
};
[[nodiscard]] std::unique_ptr<Model> model_twin(Twin& real);

// Shared by the two.

/// What one write came to.
[[nodiscard]] std::string answer_of(const Reply<std::size_t>& reply, std::size_t of);
/// The number of the IOMMU group of a PCI function; nullopt for none.
[[nodiscard]] std::optional<unsigned> group_of(Sysfs& sysfs, const std::string& function);
/// Whether the events of this subsystem are compared.
[[nodiscard]] bool is_compared(std::string_view subsystem);
[[nodiscard]] std::string kernel_release();

/// What was read of a device.
struct DeviceLook {
  std::string driver;           ///< target of the link; empty: none
  std::string driver_override;  ///< as it reads
  std::string group;            ///< target of the link; empty: none
  std::string physfn;           ///< the same
  std::string vf_autoprobe;     ///< sriov_drivers_autoprobe, of a physical function
  std::string num_vfs;          ///< sriov_numvfs, of a physical function
};
/// Enters a device, all but its group.
void enter(Snapshot& to, const std::string& bus, const std::string& name, const DeviceLook& seen);

/// Enters which device its user has open, as /proc tells it; empty: none.
void enter_open(Snapshot& to, const std::string& syspath);

/// Who shares a group with whom: numbers are given again when a group was empty, and which one a
/// new group gets is nobody's promise.
class Groups {
 public:
  void add(const std::string& device, const std::string& link);
  void enter(Snapshot& to) const;

 private:
  std::map<std::string, std::set<std::string>> members_;
};

}  // namespace anybind::conformance
