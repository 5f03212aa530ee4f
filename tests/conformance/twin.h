#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/sysfs.h"
#include "operation.h"

namespace anybind::conformance {

/// What was sent, each "action@devpath KEY=VALUE ...", without SEQNUM. Linux's workers (the retries
/// of deferred devices) run beside whoever gave them work, so that only the order within each of
/// the two is determined. The running kernel does not tell them apart: all its own is in `caller`.
struct Uevents {
  std::vector<std::string> caller;
  std::vector<std::string> workers;
};

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
};

/// The kernel of the guest that this runs in.
[[nodiscard]] std::unique_ptr<Twin> real_twin();
/// Brings that kernel back to where rounds start from: the modules freshly loaded, and every card
/// removed and found again, so that they are registered in the order of their addresses, which is
/// what a capture takes for the order that sysfs does not show. False, with a message on standard
/// error, when that cannot be had.
[[nodiscard]] bool start_over(Twin& real, const Targets& targets);
/// A model captured from `real`.
[[nodiscard]] std::unique_ptr<Twin> model_twin(Twin& real);

/// What of a kernel is compared after each operation, by what a person would call it.
using Snapshot = std::map<std::string, std::string>;
[[nodiscard]] Snapshot look(Twin& twin);

}  // namespace anybind::conformance
