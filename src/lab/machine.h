#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "drivercore/core/driver_core.h"

namespace anybind::lab {

/// One modelled kernel that many threads use: they take turns, as actors of DriverCore do. An
/// operation holds the turn from its begin to its end, except where the kernel would sleep: when it
/// waits for a lock that another operation holds, and in a probe that was told to take its time.
/// There the others go on.
class Machine {
 public:
  /// Called with each uevent as soon as it is sent, in the order of their numbers, by the thread
  /// whose turn it is.
  using Listener = std::function<void(const drivercore::Uevent&)>;

  explicit Machine(drivercore::State state, Listener listener = {});
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  /// No thread may be in an operation any more.
  ~Machine();

  /// Runs `operation(core)` when it is its turn; then lets the kernel's worker retry deferred
  /// devices, and returns when it has done so, or has to wait itself.
  template <class F>
  auto run(F operation) {
    const std::unique_lock turn(turn_);
    if constexpr (std::is_void_v<decltype(operation(core_))>) {
      operation(core_);
      finish();
    } else {
      auto out = operation(core_);
      finish();
      return out;
    }
  }

  /// The same for what changes nothing.
  template <class F>
  auto look(F look_at) {
    const std::unique_lock turn(turn_);
    return look_at(core_);
  }

  /// How long each probe of this driver takes from now on.
  void set_probe_time(const std::string& driver, std::chrono::milliseconds time);

 private:
  void on_step(const drivercore::KernelStep& step);
  bool on_blocked();
  void sleep(std::chrono::milliseconds time);
  void finish();
  void hand_out_uevents();
  void work();

  std::mutex turn_;
  std::condition_variable_any changed_;
  drivercore::DriverCore core_;
  Listener listener_;
  std::map<std::string, std::chrono::milliseconds> probe_time_;
  std::uint64_t steps_ = 0;    ///< grows whenever something may have changed
  bool worker_waits_ = false;  ///< for another operation, or for a slow probe
  bool worker_busy_ = false;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace anybind::lab
