#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "drivercore/core/state.h"
#include "host/host.h"
#include "users/blocker.h"

namespace anybind::cli {

/// Which machine was asked for.
struct MachineChoice {
  std::string sysfs;      ///< --sysfs DIR; empty: /sys
  std::string lab;        ///< --lab FILE; empty: no lab
  std::string login{};    ///< Host::login
  std::string command{};  ///< the verb and its arguments, for the journal and for who waits for us
  std::string
      state;  ///< --state DIR; empty: /run/anybind, or for a lab and a made-up tree nothing is kept
};

/// The machine of one command: this machine, a made-up tree (both: host/this_machine.h), or a lab.
class Session {
 public:
  /// kNotFound: no such directory or file. kUsage: the machine file is not understood (with line
  /// and column); nothing is loaded then.
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(const MachineChoice& choice);

  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;

  [[nodiscard]] virtual const Host& host() const = 0;
  /// The model of a lab; nullptr elsewhere.
  [[nodiscard]] virtual const drivercore::State* lab() const { return nullptr; }
  /// The directory of what is remembered; empty when it goes with this command.
  [[nodiscard]] virtual const std::string& state_dir() const = 0;
  /// The machine as a value with all its details: a copy of the lab, or a capture
  /// (capture/capture.h), which names the devices that were `busy`.
  [[nodiscard]] virtual Result<drivercore::State> capture(std::vector<DeviceId>& busy) = 0;
  /// What a change made of the lab is kept for the next command with the same --state, before
  /// others may change it: an error when that failed. Nothing to do elsewhere.
  [[nodiscard]] virtual Result<> kept_after_change() { return {}; }

  [[nodiscard]] bool is_lab() const { return lab() != nullptr; }
  [[nodiscard]] bool is_kept() const { return !state_dir().empty(); }
  /// Who uses the devices; in a lab those of whom the machine file tells.
  [[nodiscard]] InUse in_use(const std::vector<DeviceId>& devices) const;
};

/// A machine file, booted; with another kernel than the file's when `profile` is not empty.
[[nodiscard]] Result<drivercore::State> load_lab(const std::string& file,
                                                 const std::string& profile);

}  // namespace anybind::cli
