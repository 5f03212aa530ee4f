// Two promises meet here. A device that a rule gives away must have its override before a driver of
// the host is asked: so that is the first write. And while the bus is held, no device may wait: so
// the second write is the offer, for every device that comes, whether a rule is about it or not.
// A hold keeps more from happening than newcomers being probed (kernel-facts-7: 1): a driver that
// loads gets no device, and a device whose probe was deferred is not asked again. Both are made up
// for: a driver that comes is offered each device without one, and a device that nobody took is
// offered again when others have found their drivers. It is also offered again by time: the event
// comes a moment before the kernel lets a PCI device match any driver (drivers/pci/bus.c:
// match_driver), and an offer in that moment finds nobody.
// A virtual function is told of before it is linked to its physical one, and by that link a rule
// knows it: so what may become one is not offered before the link's own event, or some moments.
// A card that comes into an IOMMU group that user space holds is refused by the kernel, hold or no
// hold, and forgotten: nothing is sent when the group is free again. So such a card is offered
// again every few seconds, for as long as a VFIO driver is in its group; the kernel refuses at
// once.
#include "policy/greeter.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "engine/claim.h"
#include "engine/engine.h"
#include "inventory/device.h"
#include "inventory/group.h"
#include "inventory/vfio_driver.h"
#include "policy/judge.h"
#include "policy/match.h"

namespace anybind {
namespace {

constexpr const char* kDrivers = "/bus/pci/drivers/";
constexpr unsigned kMostOffers = 12;  // of one device that no driver takes: within a minute
constexpr auto kFirst = std::chrono::milliseconds(20);     // between two offers, then doubled
constexpr auto kSettles = std::chrono::milliseconds(200);  // within it a function is linked
constexpr auto kGroup = std::chrono::seconds(5);  // at most, while its group may be somebody's
constexpr const char* kDeferred = "kernel/debug/devices_deferred";
const Patience kShort{.limit = std::chrono::milliseconds(500)};

bool has_no_driver(const Host& host, const DeviceId& id) {
  const auto dir = open_device(host.sysfs, id);
  if (!dir || *dir == nullptr) return false;
  const auto driver = read_driver(**dir);
  return driver && !*driver;
}

std::vector<DeviceId> pci_devices(const Host& host) {
  return read_device_ids(host.sysfs, BusName::literal("pci")).value_or(std::vector<DeviceId>{});
}

/// "0000:03:00.0\twhat it waits for", a line each: those of PCI. None without debugfs, and then
/// nobody knows.
std::set<DeviceId> deferred_devices(const Host& host) {
  const std::string text = host.sysfs.read(kDeferred).value_or("");
  std::set<DeviceId> out;
  for (const DeviceId& id : text.empty() ? std::vector<DeviceId>{} : pci_devices(host))
    if (("\n" + text).contains("\n" + id.name.str() + "\t")) out.insert(id);
  return out;
}

}  // namespace

void Greeter::use(std::shared_ptr<const Spec> spec, const std::optional<Instance>& held_since) {
  auto buses = buses_of(host_, *spec);
  auto deferred = held_since ? deferred_devices(host_) : std::set<DeviceId>{};
  const std::scoped_lock lock(mutex_);
  if (!held_since) deferred_.clear();
  deferred_.merge(deferred);
  spec_ = std::move(spec);
  buses_ = std::move(buses);
  held_since_ = held_since;
}

std::shared_ptr<const Spec> Greeter::spec() {
  const std::scoped_lock lock(mutex_);
  return spec_;
}

void Greeter::hear(const Uevent& event) {
  const auto bus = BusName::parse(event.subsystem);
  const auto name = DeviceName::parse(link_name(event.devpath));
  const auto [spec, is_ours, offers] = [&] {
    const std::scoped_lock lock(mutex_);
    return std::tuple(spec_, bus && buses_.contains(*bus), held_since_.has_value());
  }();
  const bool comes = event.action == "add" && !event.is_synthetic;
  const bool settles = event.action == "change" && !event.is_synthetic;
  if (offers && comes && event.subsystem == "drivers" && event.devpath.starts_with(kDrivers))
    return offer_to_driver(std::string(link_name(event.devpath)));
  if (offers && event.action == "bind") hear_bind();
  if (!is_ours || !bus || !name) return;
  const DeviceId id{.bus = *bus, .name = *name};
  if (event.action == "unbind") return forget(id);
  if (!comes && !(settles && unsettled_.contains(id))) return;
  if (comes) unsettled_.erase(id);
  if (offers && bus->str() == "pci") return greet(id);
  const Kept kept = keep(id, *spec);
  if (kept.again) return wait_for(id);
  if (kept.is_offered) wait_for_group(id);
}

/// What somebody waited for may be there now. A storm of such events costs no offers of its number.
void Greeter::hear_bind() {
  const auto now = host_.clock->now();
  const auto deferred = [&] {
    const std::scoped_lock lock(mutex_);
    return std::exchange(deferred_, {});
  }();
  for (const DeviceId& id : deferred) waiting_[id].due = now;
  for (auto& [id, waiting] : waiting_) {
    if (now - waiting.last < kFirst) continue;
    waiting.due = now;
    waiting.offers -= waiting.offers > 0 ? 1U : 0U;
  }
}

/// Somebody has taken its driver from it.
void Greeter::forget(const DeviceId& id) {
  waiting_.erase(id);
  const std::scoped_lock lock(mutex_);
  deferred_.erase(id);
}

/// Another member has a VFIO driver, so that the kernel may refuse this one.
bool Greeter::may_be_refused(const DeviceId& id) const {
  const auto dir = open_device(host_.sysfs, id);
  if (!dir || *dir == nullptr) return false;
  const auto number = read_iommu_group(**dir);
  if (!number || !*number) return false;
  const auto view = read_group_view(host_.sysfs, **number);
  return view && std::ranges::any_of(view->members, [&](const GroupMember& member) {
           return member.id != id && member.driver && is_vfio_driver(member.driver->str());
         });
}

/// Where the bus offers it itself, which it may be doing just now.
void Greeter::wait_for_group(const DeviceId& id) {
  if (!may_be_refused(id)) return;
  const auto now = host_.clock->now();
  waiting_[id] = {.for_group = true, .due = now + kFirst, .last = now};
}

void Greeter::greet(const DeviceId& id) {
  if (has_no_driver(host_, id)) offer(id, keep(id, *spec()));
}

/// The rule that gives this device to a driver, decided for it alone, in a hurry. nullptr: none
/// does, or that needs more: a look at its group, somebody who settles which card this is.
const Rule* Greeter::rule_of(SeenDevice& seen, const Spec& spec) const {
  MachineFacts facts(host_.sysfs);
  const Counting counting = counting_rule(spec.rules, seen, facts);
  if (!counting.rule || !counting.elsewhere.empty()) return nullptr;
  const Rule& rule = spec.rules[*counting.rule];
  const bool gives = rule.driver && !rule.wants_default() && rule.group != GroupTreatment::kRefuse;
  if (counting.answer.meets != Answer::Meets::kYes || !gives) return nullptr;
  if (!rule.match.pf) return &rule;
  auto pf = SeenDevice::look(host_.sysfs, *rule.match.pf);
  if (!pf || !*pf) return nullptr;
  const Counting above = counting_rule(spec.rules, **pf, facts);
  const bool is_settled =
      above.elsewhere.empty() && (!above.rule || above.answer.meets == Answer::Meets::kYes);
  return is_settled ? &rule : nullptr;
}

/// Which rule counts for it cannot be said yet. To be asked before it is looked at.
bool Greeter::is_unsettled(const DeviceId& id, const Spec& spec) {
  MachineFacts facts(host_.sysfs);
  const bool may_become = std::ranges::any_of(spec.rules, [&](const Rule& rule) {
    return rule.match.pf && facts.may_become_function(*rule.match.pf, id);
  });
  if (!may_become) {
    unsettled_.erase(id);
    return false;
  }
  const auto now = host_.clock->now();
  return now - unsettled_.try_emplace(id, now).first->second < kSettles;
}

/// Of a device that is gone, or another one by now, nothing is done: each that comes has an event
/// of its own.
Greeter::Kept Greeter::keep(const DeviceId& id, const Spec& spec) {
  if (spec.rules.empty()) return {};
  if (is_unsettled(id, spec)) return {.is_offered = false, .again = true};
  auto seen = SeenDevice::look(host_.sysfs, id);
  if (!seen) return {.is_offered = false, .again = true};
  if (!*seen) return {.is_offered = false};
  const Rule* const rule = rule_of(**seen, spec);
  if (rule == nullptr) return {};
  if ((*seen)->device().driver == rule->driver) return {.is_offered = false};
  const auto claimed = claim(host_, id, (*seen)->instance(), *rule->driver);
  if (!claimed) return {.is_offered = false, .again = claimed.error().kind != ErrorKind::kNotFound};
  const bool is_first = *claimed != Claim::kHasDriver && remember(**seen, *rule->driver);
  if (*claimed == Claim::kKept) {
    counts_.kept += is_first ? 1 : 0;
    if (is_first)
      tell_({.text = "it has come, and is kept for " + printable(rule->driver->str()),
             .device = id,
             .rule = rule->name});
    return {.is_offered = false, .driver = rule->driver};
  }
  ++counts_.races_lost;
  tell_({.text = "it has come, and a driver of the host had it first",
         .device = id,
         .rule = rule->name});
  return {.is_offered = false};
}

/// False: it was kept before.
bool Greeter::remember(const SeenDevice& seen, const DriverName& driver) {
  const Claimed claim{.instance = seen.instance(), .driver = driver, .at = host_.clock->now()};
  const std::scoped_lock lock(mutex_);
  const auto before = claimed_.find(seen.id());
  const bool is_first = before == claimed_.end() || before->second.instance != claim.instance ||
                        !(before->second.driver == driver);
  claimed_.insert_or_assign(seen.id(), claim);
  return is_first;
}

void Greeter::wait_for(const DeviceId& id) {
  Waiting& waiting = waiting_[id];
  waiting.last = host_.clock->now();
  waiting.for_group = may_be_refused(id);
  const Clock::Time::duration next = kFirst * (1U << std::min(waiting.offers++, kMostOffers));
  waiting.due =
      waiting.last + (waiting.for_group ? std::min<Clock::Time::duration>(next, kGroup) : next);
}

/// drivers_probe goes by the name of a device. When the card is exchanged for another just now, the
/// other one would be offered to everybody before a rule was asked about it: so a device of a rule
/// is handed to its driver alone, which does not match a card that has no override yet. That no
/// driver takes it is an answer too; a driver that takes long goes on by itself.
void Greeter::offer(const DeviceId& id, const Kept& kept) {
  Abandoned abandoned;
  if (!kept.is_offered) {
    const bool is_bound = kept.driver && kept.driver->str() != "none";
    if (is_bound)
      static_cast<void>(host_.sysfs.write_patiently(driver_path(id.bus, *kept.driver) + "/bind",
                                                    id.name.str(), kShort, abandoned));
    if (kept.again || (is_bound && has_no_driver(host_, id))) return wait_for(id);
    waiting_.erase(id);
    return;
  }
  static_cast<void>(host_.sysfs.write_patiently(fmt::format("bus/{}/drivers_probe", id.bus.str()),
                                                id.name.str(), kShort, abandoned));
  ++counts_.offered;
  if (has_no_driver(host_, id)) wait_for(id);
}

/// As the kernel would: this driver, and no other, is asked for each device without one. An
/// override says who may have it, whoever wrote it: nothing is kept here, as nobody has come.
void Greeter::offer_to_driver(const std::string& driver) {
  const auto rules = spec();
  for (const DeviceId& id : pci_devices(host_)) {
    if (!has_no_driver(host_, id)) continue;
    const auto override = host_.sysfs.read(id.path() + "/driver_override");
    const auto wanted = override ? parse_override(*override) : std::nullopt;
    if (wanted && *wanted != driver) continue;
    if (!wanted && is_unsettled(id, *rules)) continue;
    auto seen = SeenDevice::look(host_.sysfs, id);
    if (!seen || !*seen) continue;
    const Rule* const rule = wanted ? nullptr : rule_of(**seen, *rules);
    if (rule != nullptr) continue;  // without its override: the Greeter or the Keeper is at it
    Abandoned abandoned;
    const std::string file = fmt::format("bus/pci/drivers/{}/bind", driver);
    if (host_.sysfs.write_patiently(file, id.name.str(), kShort, abandoned)) ++counts_.offered;
  }
}

std::optional<Clock::Time> Greeter::next_time() const {
  std::optional<Clock::Time> out;
  for (const auto& [id, waiting] : waiting_) out = out ? std::min(*out, waiting.due) : waiting.due;
  return out;
}

void Greeter::offer_waiting() {
  const auto now = host_.clock->now();
  std::vector<DeviceId> due;
  for (const auto& [id, waiting] : waiting_)
    if (waiting.due <= now) due.push_back(id);
  for (const DeviceId& id : due) {
    greet(id);
    const auto waiting = waiting_.find(id);
    if (waiting == waiting_.end()) continue;
    const bool is_over = waiting->second.offers >= kMostOffers && !waiting->second.for_group;
    if (is_over || !has_no_driver(host_, id)) waiting_.erase(waiting);
  }
}

/// What was written since the look began is for the next one.
void Greeter::take_back(const Judgement& judgement, Listener& listener) {
  std::vector<std::pair<DeviceId, Claimed>> judged;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [id, claim] : claimed_)
      if (claim.at < judgement.began) judged.emplace_back(id, claim);
    for (const auto& [id, claim] : judged) claimed_.erase(id);
  }
  for (const auto& [id, claim] : judged) {
    const auto standing = std::ranges::find(judgement.devices, id, &Standing::device);
    const bool is_obeyed =
        standing != judgement.devices.end() && standing->state != Standing::State::kNotObeyed;
    if (is_obeyed) continue;
    const auto done = give_back(id, claim, listener);
    if (!done && done.error().kind == ErrorKind::kNotFound) continue;
    tell_({.level = Notice::Level::kWarning,
           .text =
               fmt::format("it was kept for {}, and the rule is not obeyed: {}", claim.driver.str(),
                           done ? "it is the host's again" : done.error().message()),
           .device = id});
  }
}

Result<> Greeter::give_back(const DeviceId& id, const Claimed& claim, Listener& listener) {
  const auto dir = TRY(open_device(host_.sysfs, id));
  const auto driver = dir ? read_driver(*dir) : Reply<std::optional<DriverName>>(std::nullopt);
  if (driver && *driver == claim.driver) {
    TRY(change(
        host_,
        {.verb = Request::Verb::kRestore, .devices = {id}, .instances = {{id, claim.instance}}},
        listener));
    return {};
  }
  if (!TRY(disclaim(host_, id, claim.instance, claim.driver))) return {};
  Abandoned abandoned;
  static_cast<void>(host_.sysfs.write_patiently(fmt::format("bus/{}/drivers_probe", id.bus.str()),
                                                id.name.str(), kShort, abandoned));
  return {};
}

void Greeter::offer_all() {
  const bool offers = [&] {
    const std::scoped_lock lock(mutex_);
    return held_since_.has_value();
  }();
  if (!offers) return;
  for (const DeviceId& id : pci_devices(host_)) {
    const auto override = host_.sysfs.read(id.path() + "/driver_override");
    if (!override || parse_override(*override) != "none") greet(id);
  }
}

}  // namespace anybind
