#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "base/ids.h"
#include "change/listener.h"
#include "host/host.h"

// A bus whose drivers_autoprobe somebody keeps at 0 for long: no driver of the host is asked for a
// device that comes to it, until whoever holds it offers the device (drivers_probe). For PCI the
// kernel does so since Linux 6.19 (kernel-facts-7: 1; drivers/pci/bus.c:pci_bus_add_device).
namespace anybind {

/// Who holds a bus.
struct Hold {
  BusName bus;
  long pid = 0;
  std::uint64_t started = 0;  ///< with the number it names one process
  Instance youngest;          ///< of the bus's devices when it began: what is younger waits for us
  bool is_alive = false;
};

/// The kernel of `host` holds PCI devices back while the flag is 0, and has the flag.
[[nodiscard]] bool can_hold(const Host& host);

/// nullopt: nobody does, by anybind. kFailed, kIncomplete: what is remembered cannot be read.
[[nodiscard]] Result<std::optional<Hold>> read_hold(const Host& host);

/// This process holds the bus from now on: remembered durably before the flag is written, so that
/// recover_changes() ends it when we die. Ends the hold of a process that is gone first. kRefused:
/// a living process has it, or somebody has switched the flag off otherwise. Blocks for the lock.
[[nodiscard]] Result<> begin_hold(const Host& host, const BusName& bus, Listener& listener);

/// What whoever holds a bus owes: puts its flag back, and offers what came since `hold` began and
/// waits to the bus. What is remembered stays. Blocks as a change does.
[[nodiscard]] Result<> pay_back(const Host& host, const Hold& hold, Listener& listener);

/// Puts the flag back and offers what came meanwhile, and waits, to the bus. Nothing when there is
/// no hold, or that of another living process. `listener` is told of the hold of a process that is
/// gone. Whoever calls has the lock, or is the holder. True: there was something to end.
[[nodiscard]] Result<bool> end_hold(const Host& host, Listener& listener);

}  // namespace anybind
