#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string_view>

#include "drivercore/core/uevent.h"
#include "host/storage.h"
#include "race/stage.h"

namespace anybind::race {

/// The decisions of anybindd on the stage: its Greeter and its Keeper (policy/), each an actor, as
/// each has a thread there. The one rule gives the card at the chosen address, if it is of the
/// chosen type, to the target, and promises before-probe. Where the kernel can hold the bus
/// (engine/hold.h), it is held before the first step.
class Daemon {
 public:
  /// `quiet`: what has begun in the kernel has ended, as far as it does within a second; the Keeper
  /// waits for that. `says`: it said that it could not make the rule's card as declared; or that it
  /// has.
  struct Around {
    std::function<bool()> quiet;
    std::function<void(bool)> says;
  };
  /// Adds its actors. Refers to all of them.
  Daemon(Stage& stage, Sysfs& sysfs, Storage& storage, KernelVersion kernel, Around around);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  [[nodiscard]] unsigned greeter() const;
  [[nodiscard]] unsigned keeper() const;
  /// The kernel sent this: both hear it.
  void hear(const drivercore::Uevent& event);
  /// What is still to be heard.
  [[nodiscard]] Hash key() const;
  /// What the unit does when the daemon has died: puts the flag back, offers what waits, and ends
  /// what was cut off. In an actor of its own.
  void recover();

 private:
  class Clockwork;
  class Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace anybind::race
