#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "race/scenario.h"
#include "race/search.h"
#include "race/stage.h"

namespace anybind::race {

/// What is promised: a letter of the table (docs/races.md says each in full).
struct Property {
  char letter;
  std::string_view name;
  std::string_view promise;
  std::string_view danger;  ///< what makes it hard to keep: counted apart
};
enum class Promise : std::uint8_t {
  kArrives,     ///< A
  kOthers,      ///< B
  kDefault,     ///< C
  kThird,       ///< D
  kHeld,        ///< E
  kClean,       ///< F
  kRightCard,   ///< G
  kDriverless,  ///< H
  kEnds,        ///< I
  kUnprobed,    ///< J
};
inline constexpr unsigned kPromises = 10;
[[nodiscard]] const std::array<Property, kPromises>& properties();

/// The bits of Marks: a promise broken, its danger met, broken and then mended and said.
[[nodiscard]] constexpr unsigned broken_bit(unsigned promise) {
  return promise;
}
[[nodiscard]] constexpr unsigned danger_bit(unsigned promise) {
  return kPromises + promise;
}
[[nodiscard]] constexpr unsigned mended_bit(unsigned promise) {
  return 2 * kPromises + promise;
}
static_assert(3 * kPromises <= kMarkBits);

/// One administrator with the mechanism.
struct Tool {
  unsigned actor = 0;
  std::string device;             ///< as it was given to it
  drivercore::DeviceKey meant{};  ///< the card that had this address when it began
  bool begun = false;
  bool wrote = false;
  bool writing = false;      ///< its call under way is a write
  bool hit_another = false;  ///< one of its writes acted on another card at that address
  std::optional<bool> says;  ///< that it is done; nothing if it was killed before it could
  std::optional<unsigned> recovered_by{};  ///< the actor that puts right what a kill left
  std::optional<unsigned> second{};        ///< another actor of the same program
  bool is_daemon = false;                  ///< it goes on for ever, and means a card that comes
  drivercore::DeviceKey at_before{};       ///< during a write: another card that has its address
  std::string override_before{};           ///< and the override of that

  [[nodiscard]] bool is(unsigned number) const {
    return number == actor || number == recovered_by || number == second;
  }
};

/// Watches one run and says which promises were broken.
class Monitor final : public Stage::Watcher {
 public:
  /// `start` is what the kernel was before the first step, and outlives this.
  Monitor(const Setting& setting, const drivercore::DriverCore& start);

  /// Before the first step.
  void attach(Stage& stage) { stage_ = &stage; }
  unsigned add_tool(unsigned actor, std::string device);
  /// The first tool is anybindd, which has two actors.
  void add_daemon(unsigned greeter, unsigned keeper);
  void tool_says(unsigned tool, bool done) { tools_[tool].says = done; }
  /// Another actor that goes on for the first tool.
  void recovered_by(unsigned actor) { tools_[0].recovered_by = actor; }
  [[nodiscard]] const std::vector<Tool>& tools() const { return tools_; }

  [[nodiscard]] Marks marks(bool over) const;
  /// What it keeps that decides about later marks.
  [[nodiscard]] Hash key() const;

  void on_step(unsigned actor, const drivercore::KernelStep& step) override;
  void on_call(unsigned actor, const Stage::Call& call) override;
  void on_answer(unsigned actor, const std::string& answer) override;
  /// Also told of everything, for the story.
  void tell(Stage::Watcher* listener) { listener_ = listener; }

 private:
  [[nodiscard]] Tool* tool_of(unsigned actor);
  [[nodiscard]] bool chosen(drivercore::DeviceKey device) const;
  [[nodiscard]] bool is_meant(const Tool& tool, drivercore::DeviceKey device) const;
  [[nodiscard]] bool daemon_lives() const;
  [[nodiscard]] bool under_way() const;
  [[nodiscard]] std::string_view first_driver(drivercore::DeviceKey device) const;
  [[nodiscard]] bool is_home(drivercore::DeviceKey device, std::string_view driver) const;
  [[nodiscard]] bool has_home(drivercore::DeviceKey device) const;
  [[nodiscard]] bool taken(drivercore::DeviceKey device, const Tool& but) const;
  [[nodiscard]] std::string driver_name(std::optional<drivercore::DriverKey> driver) const;
  [[nodiscard]] std::string override_of(drivercore::DeviceKey device) const;
  void danger(Promise promise) { marks_ |= 1U << danger_bit(static_cast<unsigned>(promise)); }
  void broken(Promise promise) { marks_ |= 1U << broken_bit(static_cast<unsigned>(promise)); }
  void watch_probe(unsigned actor, const drivercore::KernelStep& step);
  void watch_unprobed(unsigned actor, const drivercore::KernelStep& step);
  void watch_dangers(unsigned actor, const drivercore::KernelStep& step);
  [[nodiscard]] Marks end_of_tool(const Tool& tool) const;
  [[nodiscard]] Marks end_of_daemon(const Tool& daemon) const;
  [[nodiscard]] Marks end_of_others() const;
  [[nodiscard]] Marks left_behind() const;
  [[nodiscard]] Marks override_left(drivercore::DeviceKey device) const;

  const drivercore::State& start_;
  Stage* stage_ = nullptr;
  Stage::Watcher* listener_ = nullptr;
  std::vector<Tool> tools_;
  Marks marks_ = 0;
  drivercore::DriverKey target_ = 0;
  std::set<unsigned> by_name_;  ///< actors whose call under way names a device to be probed
  std::set<drivercore::DeviceKey> refused_;  ///< by the driver of their type
  std::string parked_;
};

}  // namespace anybind::race
