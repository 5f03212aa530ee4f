#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/error.h"
#include "daemon/answers.h"
#include "policy/notice.h"

namespace anybind::daemon {

/// org.anybind.Manager1 on the system bus (docs/dbus.md): others look and ask for changes there.
/// It has threads of its own, each with a Host of its own, so that nobody waits for a long change
/// but who asked for it. Every method may be called by any thread, and returns at once.
class Bus {
 public:
  /// Ready when it returns. Errors: there is no bus, or somebody else has the name.
  [[nodiscard]] static Result<std::unique_ptr<Bus>> open(RuleSource rules);
  /// stop()
  ~Bus();
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  /// The signal Noticed.
  void tell(const Notice& notice);
  /// The signal DevicesChanged, soon: a DeviceId::str(); empty: any device may have changed.
  void tell_changed(const std::string& device);
  /// The signal RulesChanged: the files of rules were read again.
  void tell_rules();
  /// Asks the changes that run to stop, waits for them, and leaves the bus. What is told later,
  /// nobody hears.
  void stop();
  /// What Status adds to what it finds itself.
  void set_since(Since since);
  /// The properties DevicesDeclared, DevicesMet and HoldsAutoprobe.
  void set_counts(std::size_t declared, std::size_t met, bool holds);

 private:
  class Impl;
  explicit Bus(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace anybind::daemon
