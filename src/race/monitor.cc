#include "race/monitor.h"

#include <algorithm>
#include <utility>

namespace anybind::race {
namespace {

using drivercore::Device;
using drivercore::DeviceKey;
using drivercore::KernelStep;
using Kind = KernelStep::Kind;

constexpr std::uint32_t kLargestId = 0xFFFF;

constexpr Marks bit(Promise promise) {
  return 1U << broken_bit(static_cast<unsigned>(promise));
}

/// The driver of its type.
std::string_view default_driver(const Device& device) {
  if (device.class_code >> 8U == 0x0108) return "nvme";
  return device.device == 0x1521 ? "igb" : kHost;
}

/// Ids that hardware can have.
std::size_t real_ids(const drivercore::Driver& driver) {
  return static_cast<std::size_t>(std::ranges::count_if(
      driver.dynamic_ids, [](const drivercore::PciId& id) { return id.vendor <= kLargestId; }));
}

}  // namespace

static_assert(static_cast<unsigned>(Promise::kUnprobed) + 1 == kPromises);

const std::array<Property, kPromises>& properties() {
  static constexpr std::array<Property, kPromises> kProperties = {{
      {'A', "arrives",
       "the chosen device ends on the target driver, or the tool says that it did not",
       "somebody else bound, unbound or removed the device meanwhile, or a write of the tool "
       "failed"},
      {'B', "others", "no other device is ever on the target driver, not even for a moment",
       "another device was offered to the target driver, or came while the tool was under way"},
      {'C', "default", "every other device ends on the driver that it has by default",
       "another device was probed or released while the tool was under way"},
      {'D', "third", "the chosen device is never on a third driver",
       "a third driver matched the chosen device"},
      {'E', "held", "no host driver runs in an IOMMU group that user space holds",
       "a host driver matched a device in such a group"},
      {'F', "clean", "nothing is left behind: autoprobe, dynamic ids, overrides",
       "the tool stopped half way after it had written something"},
      {'G', "right card", "no write of the tool acts on another card than the one that was meant",
       "another card had the device's address while the tool was under way"},
      {'H', "driverless", "no device is left without a driver without anybody being told",
       "somebody else took a step while a device was without a driver"},
      {'I', "ends", "nobody waits for ever", "somebody had to wait for a lock"},
      {'J', "unprobed",
       "no host driver is asked for a card that comes while a rule gives it away (policy)",
       "such a card came"},
  }};
  // A table that is indexed by Promise: a letter each, in the order of the letters.
  static_assert(kProperties.front().letter == 'A' && kProperties.back().letter == 'J' &&
                std::ranges::is_sorted(kProperties, std::ranges::less_equal{}, &Property::letter));
  return kProperties;
}

Monitor::Monitor(const Setting& setting, const drivercore::DriverCore& start)
    : start_(start.state()) {
  for (const auto& [key, driver] : start_.drivers) {
    if (driver.name == kTarget) target_ = key;
  }
  for (const Scenario* scenario : setting.of.scenarios) {
    if (!scenario->parked.empty()) parked_ = scenario->parked;
  }
}

unsigned Monitor::add_tool(unsigned actor, std::string device) {
  tools_.push_back({.actor = actor, .device = std::move(device)});
  return static_cast<unsigned>(tools_.size() - 1);
}

void Monitor::add_daemon(unsigned greeter, unsigned keeper) {
  tools_.push_back(
      {.actor = keeper, .device = std::string(kChosen), .second = greeter, .is_daemon = true});
}

Tool* Monitor::tool_of(unsigned actor) {
  const auto found = std::ranges::find_if(tools_, [&](const Tool& tool) { return tool.is(actor); });
  return found == tools_.end() ? nullptr : &*found;
}

/// The daemon means each card that its rule is about, by address and type.
bool Monitor::is_meant(const Tool& tool, DeviceKey key) const {
  if (!tool.is_daemon) return tool.begun && tool.meant == key;
  const Device* device = stage_->kernel().find(key);
  return device != nullptr && device->name == tool.device && default_driver(*device) == kHost;
}

bool Monitor::chosen(DeviceKey device) const {
  return std::ranges::any_of(tools_, [&](const Tool& tool) { return is_meant(tool, device); });
}

bool Monitor::daemon_lives() const {
  return !tools_.empty() && tools_[0].is_daemon && !stage_->actor(tools_[0].actor).killed;
}

bool Monitor::under_way() const {
  return std::ranges::any_of(tools_, [&](const Tool& tool) {
    if (!tool.wrote) return false;
    const auto& actor = stage_->actor(tool.actor);
    if (actor.killed && tool.recovered_by) return !stage_->actor(*tool.recovered_by).ended;
    return !actor.ended;
  });
}

/// What it had at the start; empty for none.
std::string_view Monitor::first_driver(DeviceKey key) const {
  const auto device = start_.devices.find(key);
  if (device == start_.devices.end() || !device->second.driver) return "";
  return start_.drivers.at(*device->second.driver).name;
}

/// A driver that it has when nobody has touched anything: that of its type, or when this refuses
/// it whichever matches next; or the one it had at first, which the driver of its type does not
/// take from it by coming later.
bool Monitor::is_home(DeviceKey key, std::string_view driver) const {
  if (refused_.contains(key)) return true;
  const std::string_view first = first_driver(key);
  return driver == default_driver(*stage_->kernel().find(key)) ||
         (!first.empty() && first == driver);
}

bool Monitor::has_home(DeviceKey key) const {
  const auto& kernel = stage_->kernel();
  const Device& device = *kernel.find(key);
  const std::string first(first_driver(key));
  return kernel.find_driver("pci", std::string(default_driver(device))) != nullptr ||
         (!first.empty() && kernel.find_driver("pci", first) != nullptr);
}

/// Given to the target by another tool, which meant it.
bool Monitor::taken(DeviceKey key, const Tool& but) const {
  return std::ranges::any_of(tools_, [&](const Tool& tool) {
    return &tool != &but && tool.begun && tool.meant == key && tool.says.value_or(false);
  });
}

std::string Monitor::driver_name(std::optional<drivercore::DriverKey> driver) const {
  return driver ? stage_->kernel().state().drivers.at(*driver).name : "";
}

std::string Monitor::override_of(DeviceKey key) const {
  const Device* device = stage_->kernel().find(key);
  return device == nullptr ? "" : device->driver_override.value_or("") + "/" + device->probe_id;
}

// ---- while it runs

void Monitor::on_call(unsigned actor, const Stage::Call& call) {
  by_name_.erase(actor);
  if (daemon_lives() && call.writes() &&
      (call.path.ends_with("/drivers_probe") || call.path.ends_with("/bind")))
    by_name_.insert(actor);
  Tool* const tool = tool_of(actor);
  if (tool != nullptr && tool->is_daemon) {
    tool->begun = true;
    tool->wrote = tool->wrote || call.writes();
  } else if (tool != nullptr) {
    if (!tool->begun) tool->meant = stage_->kernel().key_of("pci", tool->device);
    tool->begun = true;
    tool->writing = call.writes();
    tool->wrote = tool->wrote || tool->writing;
    const DeviceKey now = stage_->kernel().key_of("pci", tool->device);
    const bool another = now != 0 && now != tool->meant;
    if (another) danger(Promise::kRightCard);
    if (another && tool->writing) {
      tool->at_before = now;
      tool->override_before = override_of(now);
    }
  }
  if (listener_ != nullptr) listener_->on_call(actor, call);
}

void Monitor::on_answer(unsigned actor, const std::string& answer) {
  Tool* tool = tool_of(actor);
  if (tool != nullptr && tool->writing) {
    if (const DeviceKey another = std::exchange(tool->at_before, 0)) {
      const bool is_there = stage_->kernel().key_of("pci", tool->device) == another;
      if (is_there && override_of(another) != tool->override_before) tool->hit_another = true;
      tool->override_before.clear();
    }
    if (!answer.empty()) danger(Promise::kArrives);
  }
  if (listener_ != nullptr) listener_->on_answer(actor, answer);
}

/// What somebody else orders by the name of the card is no fault of the daemon's.
void Monitor::watch_unprobed(unsigned actor, const KernelStep& step) {
  if (!daemon_lives() || !is_meant(tools_[0], step.device) || step.driver == target_) return;
  if (by_name_.contains(actor) && !tools_[0].is(actor)) return;
  broken(Promise::kUnprobed);
}

/// A driver's probe() runs, which is when a device is "on" it.
void Monitor::watch_probe(unsigned actor, const KernelStep& step) {
  (void)actor;
  const auto& kernel = stage_->kernel();
  const Device& device = *kernel.find(step.device);
  const auto& driver = kernel.state().drivers.at(step.driver);
  const bool is_chosen = chosen(step.device);
  if (step.driver == target_ && !is_chosen && !is_home(step.device, kTarget)) {
    broken(Promise::kOthers);
  }
  if (is_chosen && step.driver != target_ && !is_home(step.device, driver.name)) {
    broken(Promise::kThird);
  }
  if (device.group && kernel.state().groups.at(*device.group).held && !driver.managed_dma) {
    broken(Promise::kHeld);
  }
}

void Monitor::watch_dangers(unsigned actor, const KernelStep& step) {
  const auto& kernel = stage_->kernel();
  const Device* device = kernel.find(step.device);
  if (device == nullptr) return;
  const bool is_chosen = chosen(step.device);
  const bool by_tool = tool_of(actor) != nullptr;
  if (step.kind == Kind::kMatched) {
    const auto& driver = kernel.state().drivers.at(step.driver);
    if (step.driver == target_ && !is_chosen) danger(Promise::kOthers);
    if (is_chosen && step.driver != target_ && !is_home(step.device, driver.name)) {
      danger(Promise::kThird);
    }
    if (device->group && kernel.state().groups.at(*device->group).held && !driver.managed_dma) {
      danger(Promise::kHeld);
    }
  }
  if (!under_way()) return;
  const bool moves = step.kind == Kind::kLinkOn || step.kind == Kind::kLinkOff ||
                     step.kind == Kind::kDead || step.kind == Kind::kReady;
  if (is_chosen && !by_tool && moves) danger(Promise::kArrives);
  if (is_chosen && daemon_lives() && step.kind == Kind::kReady) danger(Promise::kUnprobed);
  if (!is_chosen && step.kind == Kind::kReady) danger(Promise::kOthers);
  if (!is_chosen && moves) danger(Promise::kDefault);
  if (by_tool) return;
  const auto driverless = [&](const Tool& tool) {
    const Device* its = tool.is_daemon ? kernel.find("pci", tool.device) : kernel.find(tool.meant);
    return its != nullptr && !its->driver;
  };
  if (std::ranges::any_of(tools_, driverless)) danger(Promise::kDriverless);
}

void Monitor::on_step(unsigned actor, const KernelStep& step) {
  if (step.kind == Kind::kProbeBegins) watch_probe(actor, step);
  if (step.kind == Kind::kProbeBegins) watch_unprobed(actor, step);
  if (step.kind == Kind::kProbeFailed) {
    const auto& state = stage_->kernel().state();
    const Device* device = stage_->kernel().find(step.device);
    if (device != nullptr && state.drivers.at(step.driver).name == default_driver(*device)) {
      refused_.insert(step.device);
    }
  }
  watch_dangers(actor, step);
  // Only what is written by name can reach another card.
  if (Tool* tool = tool_of(actor)) {
    const Device* device = stage_->kernel().find(step.device);
    const bool acts = step.kind == Kind::kProbeBegins || step.kind == Kind::kRemoveBegins;
    if (acts && !tool->is_daemon && device != nullptr && device->name == tool->device &&
        step.device != tool->meant) {
      tool->hit_another = true;
    }
  }
  if (listener_ != nullptr) listener_->on_step(actor, step);
}

Hash Monitor::key() const {
  Hash hash;
  hash.add(marks_);
  for (const Tool& tool : tools_) {
    hash.add(tool.meant);
    hash.add((tool.begun ? 1U : 0U) | (tool.wrote ? 2U : 0U) | (tool.hit_another ? 4U : 0U) |
             (tool.says ? 8U : 0U) | (tool.says.value_or(false) ? 16U : 0U));
    hash.add(tool.at_before);
    hash.add(tool.override_before);
  }
  for (const unsigned actor : by_name_) hash.add(actor);
  hash.add(refused_.size());
  for (const DeviceKey device : refused_) hash.add(device);
  return hash;
}

// ---- at the end

/// It goes by what there is and not by what it once said; and says what it cannot make so.
Marks Monitor::end_of_daemon(const Tool& daemon) const {
  const auto& kernel = stage_->kernel();
  const DeviceKey key = kernel.key_of("pci", daemon.device);
  if (key == 0 || !is_meant(daemon, key)) return 0;
  const Device& device = kernel.existing(key);
  const bool can_be = kernel.find_driver(target_) != nullptr;
  const bool told = daemon.says && !*daemon.says;
  Marks out = 0;
  if (daemon_lives() && !told && can_be && device.driver != target_) out |= bit(Promise::kArrives);
  if (!told && can_be && !device.driver && has_home(key)) out |= bit(Promise::kDriverless);
  return out;
}

Marks Monitor::end_of_tool(const Tool& tool) const {
  if (tool.is_daemon) return end_of_daemon(tool);
  const auto& kernel = stage_->kernel();
  const Device* device = kernel.find(tool.meant);
  const bool there = device != nullptr && kernel.find_driver(target_) != nullptr;
  Marks out = 0;
  const bool killed = stage_->actor(tool.actor).killed && !tool.says;
  if (tool.says.value_or(false) && there && device->driver != target_) {
    out |= bit(Promise::kArrives);
  }
  const bool told = tool.says && !*tool.says;
  const bool unloaded = kernel.find_driver(target_) == nullptr && !killed;
  const bool owed = device != nullptr && !device->driver && has_home(tool.meant);
  if (owed && !told && !unloaded && tool.begun) {
    out |= bit(Promise::kDriverless);
  }
  if (!tool.hit_another) return out;
  const DeviceKey now = kernel.key_of("pci", tool.device);
  const bool mended = told && (now == 0 || now == tool.meant || taken(now, tool) ||
                               is_home(now, driver_name(kernel.existing(now).driver)));
  const auto right_card = static_cast<unsigned>(Promise::kRightCard);
  return out | 1U << (mended ? mended_bit(right_card) : broken_bit(right_card));
}

Marks Monitor::end_of_others() const {
  const auto& kernel = stage_->kernel();
  Marks out = 0;
  for (const auto& [key, device] : kernel.state().devices) {
    if (device.gone || chosen(key) || device.name == parked_) continue;
    const bool held = device.group && kernel.state().groups.at(*device.group).held;
    const std::string now = driver_name(device.driver);
    // A deferred one waits for the next device that is bound, as it does when nobody does anything.
    const bool owed = now.empty() && !held && !device.deferred && has_home(key);
    if (owed) out |= bit(Promise::kDriverless) | bit(Promise::kDefault);
    if (!now.empty() && !is_home(key, now)) out |= bit(Promise::kDefault);
  }
  return out;
}

Marks Monitor::override_left(DeviceKey key) const {
  const Device& device = *stage_->kernel().find(key);
  if (!device.driver_override && device.probe_id.empty()) return 0;
  // On the chosen device it is what keeps it there.
  const bool wanted = std::ranges::any_of(tools_, [&](const Tool& tool) {
    if (tool.is_daemon) return is_meant(tool, key);
    return tool.begun && tool.meant == key && tool.says.value_or(device.driver == target_);
  });
  return wanted ? 0 : bit(Promise::kClean);
}

Marks Monitor::left_behind() const {
  const auto& state = stage_->kernel().state();
  Marks out = 0;
  if (!state.buses.at("pci").autoprobe && !daemon_lives()) out |= bit(Promise::kClean);
  for (const auto& [key, driver] : state.drivers) {
    if (!driver.registered) continue;
    const auto& before = start_.drivers.at(key);
    if (real_ids(driver) > real_ids(before)) out |= bit(Promise::kClean);
    if (before.registered && before.autoprobe != driver.autoprobe) out |= bit(Promise::kClean);
  }
  for (const auto& [key, device] : state.devices) {
    if (!device.gone) out |= override_left(key);
  }
  return out;
}

Marks Monitor::marks(bool over) const {
  if (!over) return marks_;
  Marks out = marks_ | end_of_others() | left_behind();
  for (const Tool& tool : tools_) {
    out |= end_of_tool(tool);
    const bool half = tool.wrote && !tool.says.value_or(false);
    if (half) out |= 1U << danger_bit(static_cast<unsigned>(Promise::kClean));
    if (tool.begun && !tool.is_daemon && !stage_->actor(tool.actor).ended)
      out |= bit(Promise::kEnds);
  }
  for (unsigned i = 0; i < stage_->actors(); ++i) {
    const auto& actor = stage_->actor(i);
    if (actor.in_call) out |= bit(Promise::kEnds);
  }
  return out;
}

}  // namespace anybind::race
