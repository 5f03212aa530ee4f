#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "host/descriptor.h"

namespace anybind::lab {

/// What the process outside of the lab is given by the one inside.
struct Doors {
  Descriptor fuse;    ///< /dev/fuse, mounted in the lab and waiting for its server
  Descriptor uevent;  ///< NETLINK_KOBJECT_UEVENT of the lab's network namespace
};

/// What is to be run in the lab, and what it finds there.
struct Inside {
  std::vector<std::string> command{};
  std::string control{};  ///< socket of this lab, outside; empty: none
  /// Directories of the real /sys that are passed through, read only: "fs", "devices/system".
  std::vector<std::string> passed{};
};

/// Directories of this machine's /sys that the model has nothing to say about and that are there.
[[nodiscard]] std::vector<std::string> passed_through();

/// A process in user, mount and network namespaces of its own, where /sys is the lab's.
class InsideProcess {
 public:
  /// Forks; call it while this process has one thread. The new process makes its namespaces, hands
  /// out the doors, and goes on when somebody serves the FUSE one.
  /// kNotPermitted, with what to type next, where this machine does not allow that.
  [[nodiscard]] static Result<InsideProcess> start(const Inside& inside);

  [[nodiscard]] Doors& doors() { return doors_; }
  /// Until the command runs. kNotFound when there is no such command.
  [[nodiscard]] Result<> wait_until_it_runs();
  /// Passes signals on until the command ends, then ends what it left running. Its exit code, or
  /// 128 and the signal.
  [[nodiscard]] int wait_until_it_ends();

 private:
  InsideProcess(int pid, Descriptor talk) : pid_(pid), talk_(std::move(talk)) {}
  int pid_;
  Descriptor talk_;
  Doors doors_;
};

}  // namespace anybind::lab
