// Of what a selector means, somebody wants to keep something: the disk that the machine runs from,
// the card that the login comes through. What is left out is said, device by device: a command that
// silently does less than it was told is as bad as one that does more.
#include "cli/left_out.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/say.h"
#include "inventory/device.h"
#include "inventory/select.h"

namespace anybind::cli {
namespace {

bool is_among(const std::vector<DeviceId>& devices, const DeviceId& id) {
  return std::ranges::find(devices, id) != devices.end();
}

/// As a note of the plan is told.
void tell_left_out(const Context& context, const ChangeOptions& options, const DeviceId& id,
                   std::string_view why) {
  if (context.verbosity < 0) return;
  if (context.json)
    return say(context.err, "anybind: {} {}\n", printable(id.str()), printable(why, 512));
  say(context.out, "{}{} {}\n", options.dry_run ? "# " : "", printable(id.str()),
      printable(why, 512));
}

/// No group, or one that cannot be told: there is nothing that --group could take with it.
std::optional<unsigned> group_of(Sysfs& root, const DeviceId& id) {
  const auto dir = open_device(root, id);
  return dir && *dir != nullptr ? read_iommu_group(**dir).value_or(std::nullopt) : std::nullopt;
}

/// What must stay is not taken along with its group.
Result<> check_group(const Context& context, const std::vector<DeviceId>& excepted,
                     const std::vector<DeviceId>& devices) {
  std::map<unsigned, DeviceId> taken;
  for (const DeviceId& id : devices) {
    if (const auto group = group_of(context.sysfs, id)) taken.emplace(*group, id);
  }
  for (const DeviceId& id : excepted) {
    const auto group = group_of(context.sysfs, id);
    const auto with = group ? taken.find(*group) : taken.end();
    if (with == taken.end()) continue;
    return fail({.kind = ErrorKind::kUsage,
                 .object = id.str(),
                 .why = fmt::format("it is excepted, but --group would take it with {}: both are "
                                    "in IOMMU group {}",
                                    with->second.str(), *group),
                 .advice = "leave --group out, or except both"});
  }
  return {};
}

/// What the words of --except mean.
Result<std::vector<DeviceId>> excepted_by(const Context& context,
                                          const std::vector<std::string>& words) {
  std::vector<DeviceId> out;
  for (const std::string& word : single_words(context.sysfs, words)) {
    const auto kept = choose(context, {word});
    if (kept) {
      out.insert(out.end(), kept->devices.begin(), kept->devices.end());
    } else if (kept.error().kind != ErrorKind::kNotFound || !is_pattern(word)) {
      return fail(kept.error());
    }
  }
  return out;
}

bool is_bridge_there(Sysfs& root, const DeviceId& id) {
  const auto dir = open_device(root, id);
  if (!dir || *dir == nullptr) return false;
  const auto code = read_pci_class(**dir);
  return code && *code && is_bridge_class(**code);
}

void leave_bridges(const Context& context, const ChangeOptions& options, Chosen& chosen) {
  std::vector<DeviceId> bridges;
  for (const DeviceId& id : chosen.devices) {
    if (!chosen.named.contains(id) && is_bridge_there(context.sysfs, id)) bridges.push_back(id);
  }
  if (bridges.size() == chosen.devices.size()) return;  // then bridges are what is meant
  for (const DeviceId& id : bridges) tell_left_out(context, options, id, "is a bridge: left alone");
  std::erase_if(chosen.devices, [&](const DeviceId& id) { return is_among(bridges, id); });
}

void skip_used(const Context& context, const ChangeOptions& options, Chosen& chosen) {
  std::map<DeviceId, std::string> used;
  for (const Blocker& blocker : context.session.in_use(chosen.devices).blockers) {
    const auto& ignored = options.ignored;
    if (std::ranges::find(ignored, blocker.name) != ignored.end()) continue;
    std::string& why = used[blocker.device];
    why += fmt::format("{}{}: {}", why.empty() ? "is in use, skipped: " : "; ", blocker.name,
                       blocker.who);
  }
  for (const DeviceId& id : chosen.devices) {
    if (const auto found = used.find(id); found != used.end())
      tell_left_out(context, options, id, found->second);
  }
  std::erase_if(chosen.devices, [&](const DeviceId& id) { return used.contains(id); });
}

}  // namespace

void add_except(CLI::App& app, std::vector<std::string>& except) {
  app.add_option("--except", except, "not these of them; several with commas, or repeated")
      ->type_name("SELECTOR")
      ->allow_extra_args(false);  // what follows is a device
}

void add_skip_in_use(CLI::App& app, ChangeOptions& options) {
  app.add_flag("--skip-in-use", options.skip_in_use,
               "leave out what is in use, and say so, instead of refusing all of it");
}

Result<std::vector<DeviceId>> without(const Context& context, std::vector<DeviceId> devices,
                                      const std::vector<std::string>& except) {
  const auto excepted = TRY(excepted_by(context, except));
  std::erase_if(devices, [&](const DeviceId& id) { return is_among(excepted, id); });
  return devices;
}

Result<> leave_out(const Context& context, const ChangeOptions& options, Bridges bridges,
                   Chosen& chosen) {
  if (!options.except.empty()) {
    const auto excepted = TRY(excepted_by(context, options.except));
    std::erase_if(chosen.devices, [&](const DeviceId& id) { return is_among(excepted, id); });
    if (chosen.devices.empty())
      return fail({.kind = ErrorKind::kUsage, .why = "--except leaves no device"});
    if (options.group) TRY(check_group(context, excepted, chosen.devices));
  }
  if (bridges == Bridges::kLeaveAlone) leave_bridges(context, options, chosen);
  if (options.skip_in_use) skip_used(context, options, chosen);
  std::erase_if(chosen.names,
                [&](const auto& named) { return !is_among(chosen.devices, named.first); });
  return {};
}

}  // namespace anybind::cli
