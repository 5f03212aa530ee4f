#include "race/monitor.h"

#include <algorithm>

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

/// Ids that hardware can have.
std::size_t real_ids(const drivercore::Driver& driver) {
  return static_cast<std::size_t>(std::ranges::count_if(
      driver.dynamic_ids, [](const drivercore::PciId& id) { return id.vendor <= kLargestId; }));
}

}  // namespace

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
  }};
  return kProperties;
}

Monitor::Monitor(const Setting& setting, const drivercore::DriverCore& kernel) {
  for (const auto& [key, driver] : kernel.state().drivers) {
    if (driver.name == kTarget) target_ = key;
    dynamic_ids_[key] = real_ids(driver);
    if (driver.registered) autoprobe_[key] = driver.autoprobe;
  }
  for (const auto& [key, device] : kernel.state().devices) {
    if (device.driver == target_) on_target_.insert(key);
  }
  for (const Scenario* scenario : setting.scenarios) {
    if (!scenario->parked.empty()) parked_ = scenario->parked;
  }
}

unsigned Monitor::add_tool(unsigned actor, std::string device) {
  tools_.push_back({.actor = actor, .device = std::move(device)});
  return static_cast<unsigned>(tools_.size() - 1);
}

Tool* Monitor::tool_of(unsigned actor) {
  const auto found = std::ranges::find(tools_, actor, &Tool::actor);
  return found == tools_.end() ? nullptr : &*found;
}

const Tool* Monitor::tool_for(DeviceKey device) const {
  const auto found = std::ranges::find_if(
      tools_, [&](const Tool& tool) { return tool.begun && tool.meant == device; });
  return found == tools_.end() ? nullptr : &*found;
}

bool Monitor::chosen(DeviceKey device) const {
  return tool_for(device) != nullptr;
}

bool Monitor::under_way() const {
  return std::ranges::any_of(
      tools_, [&](const Tool& tool) { return tool.wrote && !stage_->actor(tool.actor).ended; });
}

/// The driver that would have it if nobody had touched anything.
std::string_view Monitor::home_of(const Device& device) const {
  if (device.class_code >> 8U == 0x0108) return "nvme";
  if (device.device == 0x1521) return "igb";
  return kHost;
}

std::string Monitor::driver_name(std::optional<drivercore::DriverKey> driver) const {
  return driver ? stage_->kernel().state().drivers.at(*driver).name : "";
}

std::string Monitor::named_override(const std::string& name) const {
  const Device* device = stage_->kernel().find("pci", name);
  return device == nullptr ? "" : device->driver_override.value_or("") + "/" + device->probe_id;
}

// ---- while it runs

void Monitor::on_call(unsigned actor, const std::string& text) {
  if (Tool* tool = tool_of(actor)) {
    if (!tool->begun) tool->meant = stage_->kernel().key_of("pci", tool->device);
    tool->begun = true;
    tool->writing = text.starts_with("echo");
    tool->wrote = tool->wrote || tool->writing;
    const DeviceKey now = stage_->kernel().key_of("pci", tool->device);
    if (now != 0 && now != tool->meant) danger(Promise::kRightCard);
    override_before_ = named_override(tool->device);
  }
  if (listener_ != nullptr) listener_->on_call(actor, text);
}

void Monitor::on_answer(unsigned actor, const std::string& answer) {
  if (Tool* tool = tool_of(actor)) {
    const DeviceKey now = stage_->kernel().key_of("pci", tool->device);
    const bool another = now != 0 && now != tool->meant;
    if (another && named_override(tool->device) != override_before_) tool->hit_another = true;
    if (tool->writing && !answer.empty()) danger(Promise::kArrives);
    override_before_.clear();
  }
  if (listener_ != nullptr) listener_->on_answer(actor, answer);
}

/// A driver's probe() runs, which is when a device is "on" it.
void Monitor::watch_probe(unsigned actor, const KernelStep& step) {
  (void)actor;
  const auto& kernel = stage_->kernel();
  const Device& device = *kernel.find(step.device);
  const auto& driver = kernel.state().drivers.at(step.driver);
  const bool is_chosen = chosen(step.device);
  if (step.driver == target_ && !is_chosen && !on_target_.contains(step.device)) {
    broken(Promise::kOthers);
  }
  if (is_chosen && step.driver != target_ && driver.name != home_of(device)) {
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
    if (is_chosen && step.driver != target_ && driver.name != home_of(*device)) {
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
  if (!is_chosen && step.kind == Kind::kReady) danger(Promise::kOthers);
  if (!is_chosen && moves) danger(Promise::kDefault);
  if (by_tool) return;
  const auto driverless = [&](const Tool& tool) {
    const Device* its = kernel.find(tool.meant);
    return its != nullptr && !its->driver;
  };
  if (std::ranges::any_of(tools_, driverless)) danger(Promise::kDriverless);
}

void Monitor::on_step(unsigned actor, const KernelStep& step) {
  if (step.kind == Kind::kProbeBegins) watch_probe(actor, step);
  watch_dangers(actor, step);
  // Only what is written by name can reach another card.
  if (Tool* tool = tool_of(actor)) {
    const Device* device = stage_->kernel().find(step.device);
    const bool acts = step.kind == Kind::kProbeBegins || step.kind == Kind::kRemoveBegins;
    if (acts && device != nullptr && device->name == tool->device && step.device != tool->meant) {
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
  }
  hash.add(override_before_);
  return hash;
}

// ---- at the end

Marks Monitor::end_of_tool(const Tool& tool) const {
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
  const bool no_home = device != nullptr && driver_name(device->driver).empty() &&
                       kernel.find_driver("pci", std::string(home_of(*device))) == nullptr;
  if (device != nullptr && !device->driver && !told && !unloaded && !no_home && tool.begun) {
    out |= bit(Promise::kDriverless);
  }
  if (!tool.hit_another) return out;
  const Device* other = kernel.find("pci", tool.device);
  const bool mended =
      told && (other == nullptr || kernel.key_of("pci", tool.device) == tool.meant ||
               driver_name(other->driver) == home_of(*other));
  const auto right_card = static_cast<unsigned>(Promise::kRightCard);
  return out | 1U << (mended ? mended_bit(right_card) : broken_bit(right_card));
}

Marks Monitor::end_of_others() const {
  const auto& kernel = stage_->kernel();
  Marks out = 0;
  for (const auto& [key, device] : kernel.state().devices) {
    if (device.gone || chosen(key) || on_target_.contains(key) || device.name == parked_) continue;
    const bool held = device.group && kernel.state().groups.at(*device.group).held;
    const std::string home(home_of(device));
    const bool has_home = kernel.find_driver("pci", home) != nullptr && !held;
    const std::string now = driver_name(device.driver);
    if (now.empty() && has_home) out |= bit(Promise::kDriverless) | bit(Promise::kDefault);
    if (!now.empty() && now != home) out |= bit(Promise::kDefault);
  }
  return out;
}

Marks Monitor::override_left(const Device& device, const Tool* tool) const {
  if (!device.driver_override && device.probe_id.empty()) return 0;
  // On the chosen device it is what keeps it there.
  const bool wanted =
      tool != nullptr && (tool->says.value_or(false) || (!tool->says && device.driver == target_));
  return wanted ? 0 : bit(Promise::kClean);
}

Marks Monitor::left_behind() const {
  const auto& state = stage_->kernel().state();
  Marks out = 0;
  if (!state.buses.at("pci").autoprobe) out |= bit(Promise::kClean);
  for (const auto& [key, driver] : state.drivers) {
    if (!driver.registered) continue;
    if (real_ids(driver) > dynamic_ids_.at(key)) out |= bit(Promise::kClean);
    const auto before = autoprobe_.find(key);
    if (before != autoprobe_.end() && before->second != driver.autoprobe) {
      out |= bit(Promise::kClean);
    }
  }
  for (const auto& [key, device] : state.devices) {
    if (!device.gone) out |= override_left(device, tool_for(key));
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
    if (tool.begun && !stage_->actor(tool.actor).ended) out |= bit(Promise::kEnds);
  }
  for (unsigned i = 0; i < stage_->actors(); ++i) {
    const auto& actor = stage_->actor(i);
    if (actor.in_call) out |= bit(Promise::kEnds);
  }
  return out;
}

}  // namespace anybind::race
