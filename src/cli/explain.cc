// explain: which drivers match a device, which one wins and why, and what would stop another.
#include <memory>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/choose.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "engine/driver_answer.h"
#include "engine/engine.h"
#include "inventory/match.h"
#include "inventory/names.h"
#include "inventory/not_there.h"
#include "inventory/viability.h"
#include "plan/mechanism.h"
#include "wire/explain.h"

namespace anybind::cli {
namespace {

struct ExplainOptions {
  std::vector<std::string> words;
};

std::string member_words(const GroupMember& member) {
  std::string out = printable(member.id.str()) + " on " +
                    (member.driver ? printable(member.driver->str()) : "no driver");
  if (member.is_bridge) out += ", a bridge: stays";
  return out;
}

/// "  label        text"
std::string field(std::string_view label, std::string_view text) {
  return fmt::format("  {:<18}{}\n", label, text);
}

std::string head_text(const Explanation& e, PciNames& names, const std::string& why_busy) {
  const Device& device = e.device;
  std::string out = printable(device.id.str());
  if (device.pci) out += "  " + names.brief(*device.pci);
  out += "\n";
  if (device.busy) out += field("busy", printable(why_busy, 1024));
  const char* const none = device.busy ? "not known" : "none";
  out += field("driver", device.driver ? printable(device.driver->str()) : none);
  if (device.has_override) {
    const char* const unset = device.busy ? "not known" : "not set";
    out += field("driver_override",
                 device.driver_override ? printable(*device.driver_override) : unset);
  }
  std::string group = "none";
  if (e.group) group = std::to_string(e.group->number);
  out += field("IOMMU group", group);
  for (const GroupMember& member : e.group ? e.group->members : std::vector<GroupMember>{}) {
    if (member.id != device.id) out += field("", "with " + member_words(member));
  }
  if (e.is_gated)
    out += field(
        "gate",
        "its physical function has sriov_drivers_autoprobe off: only an override gets it probed");
  return out;
}

std::string match_text(const Explanation& e) {
  std::string out = "\nWho matches\n";
  for (const Candidate& candidate : e.candidates) {
    const std::string name =
        candidate.driver.empty()
            ? fmt::format("{} (module, not loaded)", printable(name_to_ask_for(candidate)))
            : printable(candidate.driver);
    out += fmt::format("  {:<17} {}\n", name, printable(candidate.rule));
  }
  if (e.candidates.empty()) out += "  no driver that modules.alias knows of\n";
  if (e.device.has_override)
    out += "  any other driver  by driver_override, which decides alone once it is set\n";
  out += "  => " + printable(e.verdict, 1024) + "\n";
  return out;
}

std::string answer_text(const Explanation& e, const DriverName& driver,
                        const std::vector<Obstacle>& obstacles,
                        const std::optional<Mechanism>& mechanism, bool loads_module) {
  const std::string name = printable(driver.str());
  if (e.device.driver == driver) return fmt::format("\n{} has it already.\n", name);
  if (obstacles.empty()) {
    return fmt::format("\n{} can have it{}{}. Type: anybind bind {} {}\n", name,
                       mechanism ? fmt::format(", by {}", name_of(*mechanism)) : "",
                       loads_module ? "; its module is not loaded yet, and is loaded first" : "",
                       shell_quote(e.device.id.str()), shell_quote(driver.str()));
  }
  std::string out = fmt::format("\n{} cannot have it as things are:\n", name);
  for (std::size_t i = 0; i < obstacles.size(); ++i) {
    out += "  - " + printable(obstacles[i].what, 1024) + "\n";
    const bool again = i + 1 < obstacles.size() && obstacles[i + 1].advice == obstacles[i].advice;
    if (!obstacles[i].advice.empty() && !again)
      out += "    " + printable(text_of(obstacles[i].advice), 1024) + "\n";
  }
  return out;
}

/// What user space that wants the group would meet.
std::string group_text(const Viability& viability) {
  std::string verdict = viability.viable ? "viable" : "not viable";
  if (!viability.refusals.empty())
    verdict += viability.viable ? ", but VFIO will not open it" : ", nor will VFIO open it";
  std::string out =
      fmt::format("\nIOMMU group {}: {}\n  {}\n", viability.group, verdict, viability.rule);
  for (const MemberRole& role : viability.members) {
    out +=
        field(printable(role.member.id.str()),
              fmt::format("{}: {}",
                          role.member.driver ? printable(role.member.driver->str()) : "no driver",
                          role.why));
  }
  for (const std::string& line : viability.isolation)
    out += field("not isolated", printable(line, 1024));
  for (const VfioRefusal& refusal : viability.refusals)
    out += field(refusal.guard, printable(refusal.what, 1024));
  for (const Remark& line : viability.changes)
    out += field("to do", printable(text_of(line), 1024));
  return out;
}

std::string variant_text(const DeviceId& device, const std::vector<Candidate>& variants) {
  std::string out;
  for (const Candidate& variant : variants) {
    out += fmt::format("A variant driver for it exists: {} (module {}). Type: anybind bind {} {}\n",
                       printable(variant.driver), printable(variant.module),
                       shell_quote(device.str()), shell_quote(variant.driver));
  }
  return out;
}

std::string asked_text(const Explanation& e, const DriverAnswer& asked) {
  std::string out = asked.group ? group_text(*asked.group) : "";
  out += answer_text(e, asked.driver, asked.obstacles, asked.mechanism, asked.loads_module);
  return out + variant_text(e.device.id, asked.variants);
}

Result<int> run_explain(Context& context, const ExplainOptions& options) {
  const auto devices = TRY(choose(context, {options.words.front()})).devices;
  std::optional<DriverName> driver;
  if (options.words.size() == 2) driver = TRY(DriverName::parse(options.words[1]));
  ModuleLoader* modules = context.session.host().modules;
  const std::string aliases = modules == nullptr ? "" : std::string(modules->aliases());
  PciNames names(context.names_file);
  wire::Json rows = wire::Json::array();
  std::string text;
  for (const DeviceId& id : devices) {
    auto explained = explain_device(context.sysfs, id, aliases);
    if (!explained && explained.error().kind == ErrorKind::kNotFound)
      return fail(no_such_device(context.sysfs, id, id.str()));
    const Explanation e = TRY(std::move(explained));
    std::optional<DriverAnswer> asked;
    if (driver) asked = TRY(ask_driver(context.session.host(), e, *driver, aliases));
    rows.push_back(wire::to_json(e, asked ? &*asked : nullptr, text_of));
    const std::string why = e.device.busy ? why_busy(context.session.host(), id.str()) : "";
    text += (text.empty() ? "" : "\n") + head_text(e, names, why) + match_text(e);
    if (asked) text += asked_text(e, *asked);
  }
  if (context.json) {
    answer(context, rows);
  } else {
    put(context.out, reflowed(text, context.width));
  }
  return 0;
}

}  // namespace

Run setup_explain(CLI::App& app) {
  auto options = std::make_shared<ExplainOptions>();
  app.add_option("device", options->words, "a selector, and perhaps a driver")
      ->required()
      ->expected(1, 2);
  return [options](Context& context) { return run_explain(context, *options); };
}

}  // namespace anybind::cli
