#pragma once

#include <cstdint>
#include <deque>
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
    /// none if that is empty. With `bytes` kOpen it then opens that function.
    kHold,
    /// The card of the slot `path` is plugged in, from outside.
    kPlug,
    /// The guest is asked from outside to let it go; with `bytes` kByPower it does that by its own
    /// will, through `power` of the slot.
    kUnplug,
  };
  static constexpr const char* kOpen = "open";
  static constexpr const char* kByPower = "power";
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

/// What can be plugged in and taken out from outside.
struct Card {
  std::string slot;                    ///< "0000:02:00"
  std::vector<std::string> functions;  ///< addresses
  /// Of each function, for QEMU: "edu,id=f0,bus=port"; function 0 last, which is when the guest
  /// is told.
  std::vector<std::string> words;
};

/// The cards that operations are about.
struct Targets {
  std::vector<std::string> functions;       ///< PCI addresses; one may stand here several times
  std::vector<std::string> physical;        ///< those of them that can have virtual functions
  std::set<std::string> virtual_functions;  ///< and those that come and go with them
  std::vector<Card> cards;                  ///< those that can be plugged
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

/// What is done, one after the other: every file of kernel-facts 2.2, with values that are good,
/// stale or hostile; and, with whatever comes in between, the few steps to what chance alone would
/// seldom come to.
class Operations {
 public:
  /// `targets` must outlive it.
  Operations(std::uint64_t seed, const Targets& targets) : dice_(seed), targets_(targets) {}
  [[nodiscard]] Operation next();

 private:
  [[nodiscard]] Operation any();
  void plan_a_holder();
  void plan_who_comes(const std::string& function);

  Dice dice_;
  const Targets& targets_;
  std::deque<Operation> planned_;
};

}  // namespace anybind::conformance
