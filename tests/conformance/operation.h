#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace anybind::conformance {

/// One thing that is done to the running kernel and to the model alike.
struct Operation {
  enum class Kind : std::uint8_t {
    kWrite,  ///< one write(2) of `bytes` to `path`, which is relative to /sys
    kLoad,   ///< the module of the test drivers
    kUnload,
    kProbes,  ///< what the probe of test driver `driver` answers from now on: 0 or an errno
    /// User space lets go of the IOMMU group that it has, and takes that of the function `path`; of
    /// none if that is empty. It opens no device, so that nobody waits for it.
    kHold,
  };
  Kind kind = Kind::kWrite;
  std::string path;
  std::string bytes;  ///< or the parameters of the module
  std::size_t driver = 0;
  int result = 0;

  /// As a line for a POSIX shell as root.
  [[nodiscard]] std::string shell() const;
};

/// The drivers of the test module, in the order of its parameters.
inline constexpr const char* kTestDrivers[] = {"td0", "td1", "td2", "tdplat"};
inline constexpr std::size_t kTestDriverCount = std::size(kTestDrivers);
/// The one that can be loaded to probe asynchronously.
inline constexpr const char* kAsyncDriver = "td2";
inline constexpr const char* kTestModule = "anybind_test";

/// The cards that operations are about.
struct Targets {
  std::vector<std::string> functions;       ///< PCI addresses; one may stand here several times
  std::vector<std::string> physical;        ///< those of them that can have virtual functions
  std::set<std::string> virtual_functions;  ///< and those that come and go with them
};

/// A stream of numbers that a seed settles.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  [[nodiscard]] std::uint64_t next();
  /// 0 ... `sides` - 1
  [[nodiscard]] std::size_t roll(std::size_t sides) { return next() % sides; }
  [[nodiscard]] bool once_in(std::size_t times) { return roll(times) == 0; }
  template <class List>
  [[nodiscard]] const auto& pick(const List& list) {
    return *(std::begin(list) + static_cast<std::ptrdiff_t>(roll(std::size(list))));
  }

 private:
  std::uint64_t state_;
};

/// The next operation: every file of kernel-facts 2.2, with values that are good, stale or hostile.
[[nodiscard]] Operation next_operation(Dice& dice, const Targets& targets);

}  // namespace anybind::conformance
