// Virtual functions, and where they go: rules that hold for this task, and are written nowhere.
#include <fmt/format.h>

#include "ansible/change_set.h"
#include "ansible/modules.h"
#include "ansible/rule_file.h"
#include "base/try.h"
#include "cli/choose.h"
#include "cli/session.h"
#include "inventory/device.h"
#include "policy/spec.h"

namespace anybind::ansible {
namespace {

constexpr const char* kPlace = "this task";
constexpr std::uint64_t kMostFunctions = 0xFFFF;

/// A rule for the functions of these numbers; of all of them when there are none.
Value functions_rule(const std::string& pf, const std::string& numbers, const Value& driver) {
  Value match = {{"pf", pf}};
  if (!numbers.empty()) match["vf"] = numbers;
  return {{"name", numbers.empty() ? "functions" : "functions " + numbers},
          {"match", std::move(match)},
          {"driver", driver}};
}

/// `drivers` are {"0-3": "vfio-pci"}; `driver` is for all others.
Result<Value> rules_of(const Task& task, const std::string& pf) {
  const Arguments& arguments = task.arguments;
  const auto count = TRY(arguments.number("count", kMostFunctions));
  if (!count) return wrong("count", "it is missing");
  Value out = Value::array();
  out.push_back({{"name", "count"}, {"match", {{"device", pf}}}, {"vfs", *count}});
  if (const Value* drivers = arguments.value("drivers")) {
    if (!drivers->is_object())
      return wrong("drivers", "not a table of numbers and drivers", "as in {\"0-3\": vfio-pci}");
    for (const auto& [numbers, driver] : drivers->items())
      out.push_back(functions_rule(pf, numbers, driver));
  }
  if (arguments.has("driver")) out.push_back(functions_rule(pf, "", TRY(arguments.text("driver"))));
  const auto ignored = TRY(request_of(arguments)).ignored;
  const std::string owner = TRY(arguments.text("owner", ""));
  for (Value& rule : out) {
    if (!ignored.empty()) rule["ignore"] = ignored;
    if (!owner.empty() && rule.contains("driver")) rule["owner"] = owner;
  }
  return out;
}

}  // namespace

Result<Answer> run_functions(const Task& task) {
  TRY(task.arguments.only({"device", "count", "driver", "drivers", "owner", "ignore"}));
  const auto words = TRY(task.arguments.texts("device"));
  const cli::Chosen chosen = TRY(cli::choose(task.context, words));
  if (chosen.devices.size() != 1)
    return wrong("device", fmt::format("it means {} devices; one physical function is wanted",
                                       chosen.devices.size()));
  const DeviceId& pf = chosen.devices.front();
  if (pf.bus.str() != "pci")
    return wrong("device", "it has no virtual functions: it is no PCI one");
  if (TRY(open_device(task.host().sysfs, pf)) == nullptr)  // a rule may wait for its card
    return fail({.kind = ErrorKind::kNotFound, .object = pf.str(), .why = "no such device"});
  const Value rules = TRY(rules_of(task, pf.name.str()));
  const std::string text = TRY(rule_file(rules, "rules"));
  const Wanted wanted{.spec = TRY(parse_spec({{.name = kPlace, .text = text}})), .file = kPlace};
  return task.arguments.is_check() ? try_rules(task, wanted) : apply_rules(task, wanted);
}

}  // namespace anybind::ansible
