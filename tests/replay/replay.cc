// What each verb of an experiment does to the model, and what it answers.
#include "replay.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/core/machine_ids.h"
#include "drivercore/file/machine.h"
#include "drivercore/sysfs/model_sysfs.h"

namespace anybind::replay {
namespace {

using drivercore::KernelStep;

drivercore::State load_state(const std::string& text, const std::string& kernel) {
  auto state = drivercore::load_machine(text, "experiment");
  auto profile = drivercore::find_profile(kernel);
  if (!state || !profile) {
    std::fputs((state ? profile.error() : state.error()).message().c_str(), stderr);
    std::abort();
  }
  state->profile = *std::move(profile);
  return *std::move(state);
}

std::string named(Errno error) {
  return error.name();
}

std::string yes_or(bool yes, const char* no) {
  return yes ? "ok" : no;
}

/// What is the same on every machine: "bind 0000:00:03.0", "add drivers/e1000e", "add net/eth0".
std::string short_event(const drivercore::Uevent& event) {
  std::string_view path = event.devpath;
  const auto name = link_name(path);
  path.remove_suffix(name.size() + 1);
  const auto kind = link_name(path);
  const bool device = kind.contains(':') || kind.starts_with("pci0000");
  const std::string where = device || kind.empty() ? "" : std::string(kind) + "/";
  return event.action + " " + where + std::string(name);
}

}  // namespace

struct Replay::Verb {
  std::string (Replay::*perform)(const Words&);
  std::size_t words;  ///< at least so many
};

const std::map<std::string, Replay::Verb>& Replay::verbs() {
  static const std::map<std::string, Verb> kVerbs = {
      {"write", {&Replay::write, 2}},   {"read", {&Replay::read, 1}},
      {"size", {&Replay::size, 1}},     {"forget-events", {&Replay::forget_events, 0}},
      {"driver", {&Replay::driver, 1}}, {"there", {&Replay::there, 1}},
      {"load", {&Replay::load, 1}},     {"unload", {&Replay::unload, 1}},
      {"add", {&Replay::add, 1}},       {"pull", {&Replay::pull, 1}},
      {"probe", {&Replay::probe, 2}},   {"async", {&Replay::async, 2}},
      {"id", {&Replay::id, 1}},         {"iommu", {&Replay::iommu, 1}},
      {"events", {&Replay::events, 0}}, {"on-add", {&Replay::on_add, 2}},
      {"open", {&Replay::open, 2}},     {"through", {&Replay::through, 2}},
      {"enter", {&Replay::enter, 1}},   {"instance", {&Replay::instance, 1}},
      {"hold", {&Replay::hold, 1}},     {"release", {&Replay::release, 1}},
      {"occupy", {&Replay::occupy, 1}}, {"vacate", {&Replay::vacate, 1}},
      {"slow", {&Replay::slow, 2}},     {"start", {&Replay::start, 2}},
      {"after", {&Replay::after, 1}},   {"go", {&Replay::go, 0}},
      {"end", {&Replay::end, 1}},
  };
  return kVerbs;
}

Replay::Replay(const Experiment& experiment, const std::string& drivers, const std::string& kernel)
    : experiment_(experiment),
      kernel_(kernel),
      core_(load_state(experiment.machine + drivers, kernel)),
      sysfs_(drivercore::model_sysfs(core_)) {
  core_.set_on_step([this](const KernelStep& step) { at_step(step); });
  core_.set_on_blocked(
      [this](const drivercore::Blocked&) { return actors_.pause(Actors::State::kWaits); });
  (void)core_.take_uevents();
}

Replay::Outcome Replay::run() {
  Outcome out;
  for (const Experiment::Line& line : experiment_.lines) {
    if (!line.kernel.empty() && line.kernel != kernel_) continue;
    const std::string saw = perform(line.verb, line.words);
    const std::string wanted = line.expected.value_or("ok");
    if (line.expected) ++out.compared;
    if (saw == wanted) continue;
    constexpr std::size_t kEnough = 300;
    out.differences.push_back(fmt::format("line {}: {} {}: {}, not {}", line.number, line.verb,
                                          fmt::join(line.words, " "), saw.substr(0, kEnough),
                                          wanted));
  }
  return out;
}

std::string Replay::perform(const std::string& verb, const Words& words) {
  const auto found = verbs().find(verb);
  if (found == verbs().end()) return "no such verb";
  if (words.size() < found->second.words) return "too few words";
  return (this->*found->second.perform)(words);
}

// ---- the files

std::pair<Sysfs*, std::string> Replay::place(const std::string& path) {
  if (path.starts_with("./")) return {entered_.get(), path.substr(2)};
  for (const char* top : {"bus/", "class/", "kernel/", "module/"}) {
    if (path.starts_with(top)) return {sysfs_.get(), path};
  }
  return {sysfs_.get(), "bus/pci/" + path};
}

std::string Replay::write(const Words& words) {
  const auto [sysfs, path] = place(words[0]);
  const auto reply = sysfs->write(path, words[1]);
  return reply ? "ok" : named(reply.error());
}

std::string Replay::read(const Words& words) {
  const auto [sysfs, path] = place(words[0]);
  const auto reply = sysfs->read(path);
  return reply ? *reply : named(reply.error());
}

std::string Replay::size(const Words& words) {
  const auto [sysfs, path] = place(words[0]);
  const auto reply = sysfs->read(path);
  return reply ? std::to_string(reply->size()) : named(reply.error());
}

/// DEVICE, or BUS/NAME.
std::string Replay::driver(const Words& words) {
  const auto slash = words[0].find('/');
  const bool on_pci = slash == std::string::npos;
  const std::string path = "bus/" + (on_pci ? "pci" : words[0].substr(0, slash)) + "/devices/" +
                           words[0].substr(on_pci ? 0 : slash + 1);
  if (!sysfs_->open_dir(path)) return "absent";
  const auto link = sysfs_->read_link(path + "/driver");
  return link ? std::string(link_name(*link)) : "none";
}

std::string Replay::there(const Words& words) {
  const auto [sysfs, path] = place(words[0]);
  return sysfs->open_dir(path) || sysfs->read_link(path) || sysfs->read(path) ? "yes" : "no";
}

/// A file that stays open: what of it is there later is the business of its directory.
std::string Replay::open(const Words& words) {
  const auto [sysfs, path] = place(words[1]);
  const auto slash = path.rfind('/');
  auto directory = sysfs->open_dir(path.substr(0, slash));
  if (!directory) return named(directory.error());
  open_[words[0]] = {*std::move(directory), path.substr(slash + 1)};
  return "ok";
}

/// The model has no open files, only held directories; where those say that nothing is there
/// (ENOENT), an open file says ENODEV.
std::string Replay::through(const Words& words) {
  auto& [directory, name] = open_.at(words[0]);
  const auto reply = directory->write(name, words[1]);
  if (reply) return "ok";
  return reply.error().value == ENOENT ? "ENODEV" : named(reply.error());
}

std::string Replay::enter(const Words& words) {
  const auto [sysfs, path] = place(words[0]);
  auto directory = sysfs->open_dir(path);
  if (!directory) return named(directory.error());
  entered_ = *std::move(directory);
  return "ok";
}

std::string Replay::instance(const Words& words) {
  const auto directory = sysfs_->open_dir("bus/pci/devices/" + words[0]);
  if (!directory) return named(directory.error());
  const Instance now = (*directory)->instance().value_or(Instance{});
  const auto [known, is_new] = instances_.emplace(words[0], now);
  if (is_new) return "ok";
  return std::exchange(known->second, now) == now ? "the same" : "another";
}

// ---- the world

std::string Replay::load(const Words& words) {
  return yes_or(core_.load_module(words[0]), "refused");
}
std::string Replay::unload(const Words& words) {
  return yes_or(core_.unload_module(words[0]), "refused");
}
std::string Replay::add(const Words& words) {
  return yes_or(core_.hot_add(words[0]), "refused");
}
std::string Replay::pull(const Words& words) {
  return yes_or(core_.unplug(words[0]), "refused");
}
std::string Replay::hold(const Words& words) {
  return yes_or(core_.hold_group(static_cast<unsigned>(std::stoul(words[0])), true), "refused");
}
std::string Replay::release(const Words& words) {
  return yes_or(core_.hold_group(static_cast<unsigned>(std::stoul(words[0])), false), "refused");
}
std::string Replay::occupy(const Words& words) {
  return yes_or(core_.open_device("pci", words[0], true), "refused");
}
std::string Replay::vacate(const Words& words) {
  return yes_or(core_.open_device("pci", words[0], false), "refused");
}

/// DRIVER RESULT [DEVICE]
std::string Replay::probe(const Words& words) {
  const auto result = drivercore::parse_probe(words[1]);
  const std::string device = words.size() > 2 ? words[2] : "";
  return yes_or(result && core_.set_probe(words[0], *result, device), "refused");
}

/// What a driver's source says is no operation: the state is taken out, and put back changed.
std::string Replay::async(const Words& words) {
  drivercore::State state = core_.state();
  for (auto& [key, driver] : state.drivers) {
    if (driver.name == words[0]) driver.async_probe = words[1] == "on";
  }
  look(std::move(state));
  return "ok";
}
std::string Replay::iommu(const Words& words) {
  drivercore::State state = core_.state();
  state.iommu = words[0] == "on";
  for (auto& [key, device] : state.devices) {
    if (!state.iommu) device.group.reset();
  }
  look(std::move(state));
  return "ok";
}
void Replay::look(drivercore::State state) {
  core_ = drivercore::DriverCore(std::move(state));
  core_.set_on_step([this](const KernelStep& step) { at_step(step); });
  core_.set_on_blocked(
      [this](const drivercore::Blocked&) { return actors_.pause(Actors::State::kWaits); });
}

/// "VENDOR:DEVICE:SUBVENDOR:SUBDEVICE DATA" of the last probe.
std::string Replay::id(const Words& words) {
  const auto* driver = core_.find_driver("pci", words[0]);
  if (driver == nullptr || !driver->probed_id) return "none";
  const auto field = [](std::uint32_t value) {
    return value == drivercore::PciId::kAny ? "*" : fmt::format("{:04x}", value);
  };
  const auto& id = *driver->probed_id;
  return fmt::format("{}:{}:{}:{} {}", field(id.vendor), field(id.device), field(id.subvendor),
                     field(id.subdevice), id.data);
}

/// All since the last time.
std::string Replay::events(const Words& /*words*/) {
  std::string out;
  for (const auto& event : core_.take_uevents()) {
    out += (out.empty() ? "" : ", ") + short_event(event);
  }
  return out.empty() ? "none" : out;
}

std::string Replay::forget_events(const Words& /*words*/) {
  (void)core_.take_uevents();
  return "ok";
}

// ---- what happens in between

void Replay::at_step(const KernelStep& step) {
  const auto* device = core_.find(step.device);
  if (device == nullptr) return;
  if (step.kind == KernelStep::Kind::kAddEvent && on_add_) {
    const auto [path, text] = *on_add_;
    if (path.contains("/" + device->name + "/")) (void)write({path, text});
  }
  const auto found = slow_.find(device->name);
  if (found == slow_.end() || found->second != step.kind) return;
  slow_.erase(found);
  actors_.pause(Actors::State::kSlow);
}

/// From now on, when the device of this path is added.
std::string Replay::on_add(const Words& words) {
  on_add_ = {words[0], words[1]};
  return "ok";
}

/// probe|remove DEVICE: the next one takes until `go`.
std::string Replay::slow(const Words& words) {
  slow_[words[1]] =
      words[0] == "probe" ? KernelStep::Kind::kProbeBegins : KernelStep::Kind::kRemoveBegins;
  return "ok";
}

/// NAME VERB WORD...
std::string Replay::start(const Words& words) {
  actors_.start(words[0], [this, verb = words[1], rest = Words(words.begin() + 2, words.end())] {
    return perform(verb, rest);
  });
  return "ok";
}

/// How far it got: "slow", "waits", or what came of it.
std::string Replay::after(const Words& words) {
  if (!actors_.contains(words[0])) return "never started";
  const auto state = actors_.state(words[0]);
  if (state == Actors::State::kEnded) {
    const bool text = !actors_.result(words[0]).starts_with('E');
    return text ? "ok" : actors_.result(words[0]);
  }
  return state == Actors::State::kSlow ? "slow" : "waits";
}

std::string Replay::go(const Words& /*words*/) {
  return yes_or(actors_.finish(), "some wait for each other");
}

std::string Replay::end(const Words& words) {
  if (!actors_.contains(words[0])) return "never started";
  return actors_.state(words[0]) == Actors::State::kEnded ? actors_.result(words[0]) : "waits";
}

}  // namespace anybind::replay
