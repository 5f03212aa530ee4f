// A change that lasts is a rule like any other, in a file that its device names. Three things are
// looked at before one is written: that the file is ours to change, that no other rule counts for
// the device before it, and that what held until now still does, as a rule can stand in the way of
// another one by an IOMMU group. Whoever is told that a binding lasts must find it there after a
// boot.
#include "policy/own_rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/vfio_driver.h"
#include "policy/judge.h"
#include "policy/match.h"
#include "policy/rule_text.h"

namespace anybind {
namespace {

using Verb = Request::Verb;

constexpr const char* kPrefix = "10-";
constexpr const char* kFunctionsPrefix = "11-";  // behind single functions
constexpr const char* kHead =
    "# Written by anybind; a rule of the declared state (anybind.d(5)).\n";

Result<> check_can_last(const Request& request) {
  const auto refuse = [](const char* why) {
    return Result<>(fail({.kind = ErrorKind::kUsage, .why = why}));
  };
  if (request.verb == Verb::kUndo) return refuse("an undo is made once: no rule says it");
  if (request.everything) return refuse("rules are removed device by device: name them");
  if (request.mechanism) return refuse("a rule does not choose a mechanism");
  if (request.no_iommu) return refuse("no rule says the no-IOMMU mode: it is unsafe, each time");
  return {};
}

Error not_ours(const std::string& path, std::string why) {
  return {.kind = ErrorKind::kRefused,
          .object = path,
          .why = std::move(why) + ", and would be lost",
          .advice = "move that to a file with a name of your own"};
}

/// What the file says until now of its device, or of the functions of it, and of nothing else.
Result<std::optional<Rule>> rule_there(const RuleFiles& there, const std::string& file,
                                       const DeviceId& device) {
  const std::string path = there.folder + "/" + file;
  const auto found = std::ranges::find(there.files, path, &SpecFile::name);
  if (found == there.files.end()) return std::optional<Rule>();
  Spec spec = TRY(parse_spec({*found}, Coverage::kAllowed));
  if (spec.rules.empty()) return std::optional<Rule>();
  if (spec.rules.size() != 1) return fail(not_ours(path, "it holds several rules"));
  Rule& rule = spec.rules.front();
  const bool is_own = rule.match.pf ? *rule.match.pf == device
                                    : rule.match.device.size() == 1 &&
                                          rule.match.device.front().text == device.str();
  if (!is_own) return fail(not_ours(path, "it was edited to mean other devices"));
  return std::optional(std::move(rule));
}

/// A rule has one list of guards, and one driver, for its device and for making functions.
Result<> check_halves(const Rule& rule, const Request& request, const std::string& path) {
  const auto refuse = [&](std::string why) {
    return Result<>(fail({.kind = ErrorKind::kRefused,
                          .object = path,
                          .why = std::move(why),
                          .advice = "end the one before the other, or write rules of your own"}));
  };
  if (rule.ignored != request.ignored)
    return refuse("it says something of this device already, with other guards to ignore");
  if (rule.functions.value_or(0) != 0 && rule.driver &&
      (rule.wants_none() || is_vfio_driver(rule.driver->str())))
    return refuse(fmt::format("it would say {} virtual functions and {}, which makes none",
                              *rule.functions, declared_words({.driver = rule.driver})));
  return {};
}

Result<OwnRule> device_file(const Host& host, const Request& request, const RuleFiles& there,
                            const DeviceId& id) {
  OwnRule out{.file = own_rule_file(id), .device = id};
  auto old = TRY(rule_there(there, out.file, id));
  const bool of_functions = request.verb == Verb::kMakeFunctions;
  const bool ends = request.verb == Verb::kRestore || (of_functions && request.count == 0);
  if (ends && !old) return out;
  Rule rule = old ? *std::move(old) : Rule{.name = id.str(), .ignored = request.ignored};
  const bool has_both = of_functions ? rule.driver.has_value() : rule.functions.has_value();
  if (!ends) rule.match = TRY(match_of_card(host, id));
  if (!ends && !has_both) rule.ignored = request.ignored;
  if (of_functions) {
    rule.functions = ends ? std::nullopt : std::optional(request.count);
  } else {
    rule.driver = request.verb == Verb::kUnbind ? DriverName::literal("none") : request.driver;
    rule.group = request.whole_group && !ends ? GroupTreatment::kWhole : GroupTreatment::kListed;
    rule.owner = request.owner;
  }
  if (!ends && has_both) TRY(check_halves(rule, request, there.folder + "/" + out.file));
  if (rule.driver || rule.functions) out.text = kHead + text_of(rule);
  return out;
}

/// Functions without a driver need no rule: they are kept without one.
Result<OwnRule> functions_file(const Request& request, const RuleFiles& there, const DeviceId& pf) {
  OwnRule out{.file = own_functions_file(pf), .device = pf};
  TRY(rule_there(there, out.file, pf));
  if (request.count == 0 || !request.driver || request.driver->str() == "none") return out;
  Rule rule{.name = "each virtual function of " + pf.str(), .driver = request.driver};
  rule.match.pf = pf;
  rule.ignored = request.ignored;
  out.text = kHead + text_of(rule);
  return out;
}

/// As it will be: `rules` over files of the same name, in the order of names.
std::vector<SpecFile> with_rules(const RuleFiles& there, const std::vector<OwnRule>& rules) {
  const auto name_of = [](const SpecFile& file) {
    return file.name.substr(file.name.rfind('/') + 1);
  };
  std::vector<SpecFile> out = there.files;
  for (const OwnRule& rule : rules) {
    std::erase_if(out, [&](const SpecFile& file) { return name_of(file) == rule.file; });
    if (!rule.text.empty())
      out.push_back({.name = there.folder + "/" + rule.file, .text = rule.text});
  }
  std::ranges::sort(out, {}, name_of);
  return out;
}

Error stands_in_the_way(const DeviceId& device, const Rule& rule, std::string_view what) {
  return {.kind = ErrorKind::kRefused,
          .object = device.str(),
          .why = fmt::format("rule \"{}\" ({}) {}", rule.name, rule.place.str(), what),
          .advice = "change that rule"};
}

const Rule* rule_of_file(const Spec& spec, const std::string& path) {
  const auto found =
      std::ranges::find_if(spec.rules, [&](const Rule& rule) { return rule.place.file == path; });
  return found == spec.rules.end() ? nullptr : &*found;
}

/// No rule makes another one useless.
Result<> check_coverage(const Spec& spec, const Rule& own, const DeviceId& device) {
  bool is_before = true;
  for (const Rule& other : spec.rules) {
    if (&other == &own) {
      is_before = false;
    } else if (is_before && covers(other.match, own.match)) {
      return fail(stands_in_the_way(device, other, "counts for it before the new one would"));
    } else if (!is_before && covers(own.match, other.match)) {
      return fail(stands_in_the_way(device, other, "would never count any more"));
    }
  }
  return {};
}

/// What is asked to end must not begin again with the next look at the rules.
Result<> check_end(const Request& request, const Rule& rule, const DeviceId& device) {
  const bool of_functions = request.verb == Verb::kMakeFunctions;
  const bool goes_on =
      of_functions ? rule.functions.value_or(0) != 0 : rule.driver && !rule.wants_default();
  if (!goes_on) return {};
  return fail(stands_in_the_way(
      device, rule, of_functions ? "would make them again" : "would give it away again"));
}

Result<> check_device(const Request& request, const Spec& spec, const Judgement& after,
                      const OwnRule& own, const std::string& path) {
  const auto standing = std::ranges::find(after.devices, own.device, &Standing::device);
  const bool ends = request.verb == Verb::kRestore || request.count == 0;
  const bool is_own = standing != after.devices.end() &&
                      spec.rules[standing->rule].place.file == path && !standing->with_group;
  if (request.verb == Verb::kRestore || (request.verb == Verb::kMakeFunctions && ends)) {
    if (standing == after.devices.end()) return {};
    return check_end(request, spec.rules[standing->rule], own.device);
  }
  if (standing == after.devices.end() || !is_own) {
    if (standing != after.devices.end())
      return fail(stands_in_the_way(own.device, spec.rules[standing->rule],
                                    "counts for it before the new one would"));
    return fail({.kind = ErrorKind::kRefused,
                 .object = own.device.str(),
                 .why = "the new rule would not count for it",
                 .advice = {Action::kShow, {own.device.str()}}});
  }
  if (standing->state != Standing::State::kNotObeyed) return {};
  return fail({.kind = ErrorKind::kRefused,
               .object = own.device.str(),
               .why = "the new rule would not be obeyed: " + standing->differs,
               .advice = "change the other rule"});
}

}  // namespace

std::string own_rule_file(const DeviceId& device) {
  return fmt::format("{}{}-{}.toml", kPrefix, device.bus.str(), device.name.str());
}

std::string own_functions_file(const DeviceId& pf) {
  return fmt::format("{}{}-{}-vfs.toml", kFunctionsPrefix, pf.bus.str(), pf.name.str());
}

namespace {

/// `restore` of a group gives back what was taken of it: the rules of those go too.
std::vector<DeviceId> devices_of(const Host& host, const Request& request, const RuleFiles& there) {
  std::vector<DeviceId> out = request.devices;
  if (request.verb != Verb::kRestore || !request.whole_group) return out;
  for (const DeviceId& device : request.devices) {
    const auto dir = open_device(host.sysfs, device);
    const auto group = dir && *dir != nullptr ? read_iommu_group(**dir).value_or(std::nullopt)
                                              : std::optional<unsigned>();
    const auto members = group ? read_group(host.sysfs, *group) : Result<std::vector<DeviceId>>();
    for (const DeviceId& member : members.value_or(std::vector<DeviceId>{})) {
      const std::string path = there.folder + "/" + own_rule_file(member);
      const bool has_rule =
          std::ranges::find(there.files, path, &SpecFile::name) != there.files.end();
      if (has_rule && std::ranges::find(out, member) == out.end()) out.push_back(member);
    }
  }
  return out;
}

/// Of every device that nobody asked about the same rule counts as before, and holds as before.
Result<> check_others(const Request& request, const Spec& spec_before, const Judgement& before,
                      const Spec& spec, const Judgement& after) {
  for (const Standing& was : before.devices) {
    const bool is_asked = std::ranges::find(request.devices, was.device) != request.devices.end();
    const auto now = std::ranges::find(after.devices, was.device, &Standing::device);
    if (is_asked || was.with_group || was.state == Standing::State::kNotObeyed) continue;
    const Rule& old = spec_before.rules[was.rule];
    if (now != after.devices.end()) {
      const Rule& rule = spec.rules[now->rule];
      const bool is_function = rule.match.pf && request.devices.front() == *rule.match.pf;
      const bool holds = now->state != Standing::State::kNotObeyed;
      if (holds && (rule.place == old.place || is_function)) continue;
    } else if (old.place.file.ends_with(own_rule_file(was.device)) ||
               (old.match.pf && *old.match.pf == request.devices.front())) {
      continue;  // removed with it
    }
    return fail({.kind = ErrorKind::kRefused,
                 .object = was.device.str(),
                 .why = fmt::format("its rule \"{}\" ({}) would not hold any more", old.name,
                                    old.place.str()),
                 .advice = "change that rule"});
  }
  return {};
}

}  // namespace

Result<std::vector<OwnRule>> own_rules_of(const Host& host, const Request& request,
                                          const RuleFiles& there) {
  TRY(check_can_last(request));
  std::vector<OwnRule> out;
  for (const DeviceId& device : devices_of(host, request, there)) {
    out.push_back(TRY(device_file(host, request, there, device)));
    if (request.verb == Verb::kMakeFunctions)
      out.push_back(TRY(functions_file(request, there, device)));
  }
  return out;
}

Result<> check_own_rules(const Host& host, const Request& request, const RuleFiles& there,
                         const std::vector<OwnRule>& rules) {
  Spec before = TRY(parse_spec(there.files));
  auto after_files = with_rules(there, rules);
  Spec spec = TRY(parse_spec(after_files, Coverage::kAllowed));
  const auto driverctl = TRY(read_driverctl_rules(host.files));
  for (const OwnRule& own : rules) {
    const Rule* rule = rule_of_file(spec, there.folder + "/" + own.file);
    if (rule != nullptr) TRY(check_coverage(spec, *rule, own.device));
  }
  append_rules(before, driverctl);
  append_rules(spec, driverctl);
  const Judgement was = TRY(judge(host, before));
  const Judgement after = TRY(judge(host, spec));
  for (const OwnRule& own : rules) {
    if (own.file != own_rule_file(own.device)) continue;
    TRY(check_device(request, spec, after, own, there.folder + "/" + own.file));
  }
  return check_others(request, before, was, spec, after);
}

Result<> WrittenRules::put(const std::string& file, const std::string& text) {
  const auto done = text.empty() ? storage_->remove(file) : storage_->replace(file, text);
  if (!done) return fail(from_errno(done.error(), text.empty() ? "remove" : "write", file));
  return {};
}

Result<> WrittenRules::add(const std::string& file, const std::string& text) {
  const auto before = storage_->read(file);
  if (!before) return fail(from_errno(before.error(), "read", file));
  written_.push_back({file, before->value_or(""), text});
  return put(file, text);
}

Result<WrittenRules> WrittenRules::write(Storage& storage, const std::vector<OwnRule>& rules) {
  WrittenRules out(storage);
  for (const OwnRule& rule : rules) {
    if (auto done = out.add(rule.file, rule.text); !done) {
      static_cast<void>(out.take_back());  // what is told is the first thing that went wrong
      return fail(std::move(done).error());
    }
  }
  return out;
}

Result<WrittenRules> WrittenRules::write(Storage& storage, const std::string& file,
                                         const std::string& text) {
  WrittenRules out(storage);
  if (auto done = out.add(file, text); !done) {
    static_cast<void>(out.take_back());
    return fail(std::move(done).error());
  }
  return out;
}

bool WrittenRules::was_there(const std::string& file) const {
  return std::ranges::any_of(
      written_, [&](const Written& row) { return row.file == file && !row.before.empty(); });
}

Result<> WrittenRules::take_back() {
  Result<> out;
  while (!written_.empty()) {
    const Written row = std::move(written_.back());
    written_.pop_back();
    const auto now = storage_->read(row.file);
    if (now && now->value_or("") != row.text) continue;  // somebody else's by now
    auto done = put(row.file, row.before);
    if (!done && out) out = std::move(done);
  }
  return out;
}

}  // namespace anybind
