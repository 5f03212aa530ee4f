#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "host/descriptor.h"
#include "lab/preparation.h"

namespace anybind::lab {

/// Directories of this machine's /sys that the model has nothing to say about and that are there.
[[nodiscard]] std::vector<std::string> passed_through();

/// The first process of a lab, in namespaces of its own, where /sys is the lab's and this machine
/// cannot be changed (docs/lab.md says what exactly that means).
class InsideProcess {
 public:
  /// Forks; call it while this process has one thread. The new process makes its namespaces, hands
  /// out the door, and goes on with finish().
  /// kNotPermitted, with what to type next, where this machine does not allow that.
  [[nodiscard]] static Result<InsideProcess> start(const Inside& inside);

  /// /dev/fuse, mounted in the lab and waiting for its server.
  [[nodiscard]] Descriptor& fuse() { return fuse_; }
  /// Call it when somebody serves the FUSE door. The lab is built to its end and locked. Gives a
  /// NETLINK_KOBJECT_UEVENT socket of the lab's network namespace.
  [[nodiscard]] Result<Descriptor> finish();
  /// Until the command runs. kNotFound when there is no such command.
  [[nodiscard]] Result<> wait_until_it_runs();
  /// Passes signals on until the command has ended, and with it all that it left running. Its exit
  /// code, or 128 and the signal.
  [[nodiscard]] int wait_until_it_ends();

 private:
  InsideProcess(int pid, Descriptor talk, bool own_group)
      : pid_(pid), talk_(std::move(talk)), own_group_(own_group) {}
  int pid_;
  Descriptor talk_;
  Descriptor fuse_;
  bool own_group_;
  Descriptor terminal_;
  int foreground_ = -1;  ///< process group
};

}  // namespace anybind::lab
