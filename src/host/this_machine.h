#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "host/host.h"

namespace anybind {

/// The machine that this process runs on, or a made-up tree, as a Host. The only place of the
/// library that names its paths.
class ThisMachine {
 public:
  /// `sysfs`: the tree; empty: /sys. Another path to a sysfs is this machine too
  /// (is_of_this_machine()); anything else is a made-up tree, which has no processes, no modules
  /// and no device nodes. `state`: the directory of what is remembered; empty: /run/anybind for
  /// this machine, and for a made-up tree the memory of this process. `command`: what is being
  /// done, for the journal and for who waits. `login`: Host::login. kNotFound: no such directory.
  [[nodiscard]] static Result<std::unique_ptr<ThisMachine>> open(const std::string& sysfs,
                                                                 const std::string& state,
                                                                 const std::string& command,
                                                                 const std::string& login = "");
  virtual ~ThisMachine() = default;
  ThisMachine(const ThisMachine&) = delete;
  ThisMachine& operator=(const ThisMachine&) = delete;

  /// Lives as long as this object.
  [[nodiscard]] virtual const Host& host() const = 0;
  /// The directory of what is remembered; empty: it goes with this process.
  [[nodiscard]] virtual const std::string& state_dir() const = 0;

 protected:
  ThisMachine() = default;
};

/// Where the modules of a kernel of this release are: "/lib/modules/6.12.1-amd64".
[[nodiscard]] std::string module_directory(const std::string& release);

}  // namespace anybind
