#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace anybind {

/// What somebody who is told something can do about it. A value: what to type, to press or to call
/// for it is for whoever shows it to say. The operands of each are named behind it.
enum class Action : std::uint8_t {
  kWords,           ///< nothing that anybind does; the operand is text for people
  kList,            ///< look at the devices: [SELECTOR]
  kShow,            ///< look at one: DEVICE
  kExplain,         ///< why a driver has it or cannot have it: DEVICE [DRIVER]
  kBind,            ///< DEVICE DRIVER
  kBindGroup,       ///< the whole IOMMU group with it: DEVICE DRIVER
  kUnbind,          ///< DEVICE...
  kUnbindBridge,    ///< the same of bridges, which taking a whole group leaves alone: DEVICE...
  kRestore,         ///< DEVICE
  kRestoreGroup,    ///< and all that was taken of its IOMMU group: DEVICE
  kRecover,         ///< end what was cut off
  kUndo,            ///< take a change back, the last one without: [NUMBER]
  kHistory,         ///< look at the changes that were made
  kMakeFunctions,   ///< virtual functions: DEVICE COUNT
  kCheckAsRoot,     ///< is the machine ready, asked with more rights
  kRace,            ///< try a mechanism in every ordering: MECHANISM
  kHelp,            ///< read which forms a request has
  kTakeGroup,       ///< in this request: the whole IOMMU group
  kIgnore,          ///< in this request: let a guard not count: GUARD
  kAllowNoIommu,    ///< in this request
  kMechanism,       ///< in this request: another mechanism, one of NAME...
  kStateDirectory,  ///< remember things in another directory
};

/// One action with its operands. Names in them may come from outside.
struct Advice {
  Action action = Action::kWords;
  std::vector<std::string> operands{};
  friend bool operator==(const Advice&, const Advice&) = default;
};

/// Text for people in which each thing that they can do stands as a value: "free it, then: " and
/// kRecover. Advice and words alternate as they are read; words beside words are one part.
struct Remark {
  std::vector<Advice> parts{};

  Remark() = default;
  // Not explicit: most remarks are nothing but words, or one action.
  Remark(std::string words);
  Remark(std::string_view words) : Remark(std::string(words)) {}
  Remark(const char* words) : Remark(std::string(words)) {}
  Remark(Action action, std::vector<std::string> operands = {});

  [[nodiscard]] bool empty() const { return parts.empty(); }
  /// This action is among the parts.
  [[nodiscard]] bool names(Action action) const;
  /// For logs and tests: the words as they are, an action by its name and operands: "free it, then:
  /// recover", "show 0000:03:00.0".
  [[nodiscard]] std::string plain() const;

  Remark& operator+=(Remark more);
  friend bool operator==(const Remark&, const Remark&) = default;
};

[[nodiscard]] Remark operator+(Remark left, Remark right);

/// All of them, each by plain().
[[nodiscard]] std::vector<std::string> plain(const std::vector<Remark>& remarks);

}  // namespace anybind
