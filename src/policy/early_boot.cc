// Whoever wants a card to be free of the host's driver from the first moment on has one chance: its
// override must be there before that driver is loaded. In the initramfs that is before udev starts,
// as a rule of udev's is too late when cards are alike and its workers are few (kernel-facts-7: 3).
// Nobody can be asked there whether the host needs the device. So two must agree: the rules, which
// say what shall be, and the list of what was looked at while the machine ran, card by card.
#include "policy/early_boot.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "base/text.h"
#include "base/try.h"
#include "engine/claim.h"
#include "policy/boot_list.h"
#include "policy/judge.h"
#include "policy/spec.h"

namespace anybind {
namespace {

constexpr auto kLongest = std::chrono::seconds(20);  // a module's drivers may hang, and we boot

class Early {
 public:
  Early(const Host& host, bool dry) : host_(host), dry_(dry) {}

  Result<EarlyBoot> run() {
    list_ = TRY(read_boot_list(host_.files));
    listed_ = TRY(judge(host_, list_));
    const auto spec = read_rules(host_.files);
    if (!spec) out_.troubles.push_back(spec.error());
    // Whoever may have written the rules may not have them obeyed; a mistake is no such thing.
    if (!spec && spec.error().kind != ErrorKind::kUsage) return std::move(out_);
    const Judgement declared = spec ? TRY(judge(host_, *spec)) : listed_;
    const Spec& rules = spec ? *spec : list_;
    for (const Standing& standing : declared.devices) keep(standing, rules.rules[standing.rule]);
    for (const PolicyProblem& problem : declared.problems) leave(problem, rules);
    load();
    return std::move(out_);
  }

 private:
  /// The same card and the same driver, looked at while the machine ran.
  bool is_listed(const Standing& standing, const Rule& rule) const {
    const auto found = std::ranges::find(listed_.devices, standing.device, &Standing::device);
    if (found == listed_.devices.end() || found->state == Standing::State::kNotObeyed) return false;
    const Rule& card = list_.rules[found->rule];
    const bool same_driver = !rule.driver || card.driver == rule.driver;
    return found->instance == standing.instance && same_driver &&
           (!makes_functions(standing, rule) || card.functions.has_value());
  }

  static bool makes_functions(const Standing& standing, const Rule& rule) {
    return rule.functions && !standing.with_group;
  }

  void keep(const Standing& standing, const Rule& rule) {
    EarlyDevice device{.device = standing.device, .rule = rule.name};
    const bool keeps = rule.driver && !rule.wants_default();
    if (!keeps && !makes_functions(standing, rule)) return;
    if (standing.state == Standing::State::kNotObeyed) {
      device.left = standing.differs;
    } else if (!is_listed(standing, rule)) {
      device.left =
          "it is not in the boot list: it was not so the last time that rules were applied";
    } else {
      if (makes_functions(standing, rule)) hold(standing, device);
      if (keeps && device.left.empty()) take(standing, rule, device);
    }
    out_.devices.push_back(std::move(device));
  }

  void hold(const Standing& standing, EarlyDevice& device) {
    const auto held = dry_ ? Result<>{} : hold_functions(host_, standing.device, standing.instance);
    if (!held) device.left = held.error().message();
    if (held) device.kept = "its virtual functions without a driver";
  }

  void take(const Standing& standing, const Rule& rule, EarlyDevice& device) {
    const std::string what = rule.wants_none() ? "no driver" : rule.driver->str();
    if (standing.now.driver && standing.now.driver != rule.driver) {
      device.left = "it has " + printable(standing.now.driver->str()) + " already";
      return;
    }
    if (!standing.now.driver && !dry_) {
      const auto claimed = claim(host_, standing.device, standing.instance, *rule.driver);
      if (!claimed) device.left = claimed.error().message();
      if (claimed && *claimed != Claim::kKept) device.left = "a driver has got it meanwhile";
      if (!device.left.empty()) return;
    }
    device.kept += (device.kept.empty() ? "" : ", ") + what;
    if (!rule.wants_none()) drivers_.emplace(standing.device.bus, *rule.driver);
  }

  void leave(const PolicyProblem& problem, const Spec& rules) {
    if (!problem.device) return;
    out_.devices.push_back({.device = *problem.device,
                            .rule = problem.rule ? rules.rules[*problem.rule].name : "",
                            .left = problem.what});
  }

  /// Only what a device is kept for, and has not come yet.
  void load() {
    if (host_.modules == nullptr || dry_) return;
    const auto start = host_.clock->now();
    for (const auto& [bus, driver] : drivers_) {
      if (host_.sysfs.open_dir(driver_path(bus, driver))) continue;
      const auto module = host_.modules->find(driver.str());
      if (!module || module->built_in) continue;
      auto loaded =
          host_.modules->load(module->name, [&] { return host_.clock->now() - start > kLongest; });
      if (loaded) out_.modules.push_back(module->name);
      if (!loaded) out_.troubles.push_back(std::move(loaded).error());
    }
  }

  const Host& host_;
  bool dry_;
  Spec list_;
  Judgement listed_;
  std::set<std::pair<BusName, DriverName>> drivers_;
  EarlyBoot out_;
};

}  // namespace

Result<EarlyBoot> keep_at_boot(const Host& host, bool dry) {
  return Early(host, dry).run();
}

}  // namespace anybind
