#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/errno.h"
#include "host/sysfs.h"

namespace anybind {

/// What the kernel told of a device: an event, not a state. By the time it is read the device may
/// be another one, or gone.
struct Uevent {
  std::string action;   ///< "add", "bind", "unbind", "remove", "change", "move", ...
  std::string devpath;  ///< "/devices/pci0000:00/0000:00:03.0", without /sys
  std::string subsystem;
  std::uint64_t seqnum = 0;
  /// Somebody wrote to a `uevent` file: nothing has happened to the device.
  bool is_synthetic = false;
  std::map<std::string, std::string, std::less<>> keys{};  ///< all others
};

/// A message of the kernel: "add@/devices/...", then KEY=VALUE, each with a NUL behind it (linux
/// lib/kobject_uevent.c). nullopt for anything else.
[[nodiscard]] std::optional<Uevent> parse_uevent(std::string_view message);

/// What the kernel tells of devices that come, go and change drivers, in its order.
class UeventSource {
 public:
  UeventSource() = default;
  UeventSource(const UeventSource&) = delete;
  UeventSource& operator=(const UeventSource&) = delete;
  virtual ~UeventSource() = default;

  /// The next one, after at most `wait`; nullopt: none came, or a signal did. ENOBUFS: some were
  /// lost, and everything has to be looked at anew.
  virtual Reply<std::optional<Uevent>> next(std::chrono::milliseconds wait) = 0;

  /// For poll(2), readable when next() would not wait. Stays this object's.
  [[nodiscard]] virtual int descriptor() const = 0;
};

/// Listens from now on. Only messages of the kernel itself are taken, not what other processes
/// send. A large buffer is asked for, which only root gets.
[[nodiscard]] Reply<std::unique_ptr<UeventSource>> listen_to_uevents();

}  // namespace anybind
