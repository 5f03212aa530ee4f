#include "inventory/match.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "host/modules.h"
#include "inventory/iommu_state.h"
#include "inventory/makers.h"
#include "inventory/vfio_driver.h"
#include "inventory/vfio_refusal.h"

namespace anybind {
namespace {

constexpr std::string_view kVfioAlias = "vfio_pci:";

/// Cuts the next word of `line` off.
std::string_view take_word(std::string_view& line) {
  const auto start = std::min(line.find_first_not_of(' '), line.size());
  const auto end = std::min(line.find(' ', start), line.size());
  const std::string_view word = line.substr(start, end - start);
  line.remove_prefix(end);
  return word;
}

/// One line "alias PATTERN MODULE" against the modalias.
std::optional<Candidate> match_line(std::string_view line, const std::string& modalias) {
  if (take_word(line) != "alias") return std::nullopt;
  const std::string pattern(take_word(line));
  const bool is_vfio = pattern.starts_with(kVfioAlias) && modalias.starts_with("pci:");
  const bool matches =
      is_vfio ? glob_match(pattern, "vfio_" + modalias) : glob_match(pattern, modalias);
  if (!matches) return std::nullopt;
  return Candidate{
      .module = std::string(take_word(line)),
      .rule = (is_vfio ? "by override only, its alias " : "by its id, alias ") + pattern,
      .is_vfio = is_vfio};
}

/// Drivers of a bus by the module that brought them; those built in under their own name.
std::multimap<std::string, std::string> drivers_by_module(Sysfs& root, const BusName& bus) {
  std::multimap<std::string, std::string> out;
  const auto names = read_driver_names(root, bus);
  for (const std::string& name : names ? *names : std::vector<std::string>{}) {
    const auto module = root.read_link("bus/" + bus.str() + "/drivers/" + name + "/module");
    out.emplace(module_key(module ? std::string(link_name(*module)) : name), name);
  }
  return out;
}

/// Gives each candidate its driver; a module with several drivers becomes several candidates.
std::vector<Candidate> with_drivers(Sysfs& root, const BusName& bus,
                                    std::vector<Candidate> candidates) {
  const auto drivers = drivers_by_module(root, bus);
  std::vector<Candidate> out;
  for (Candidate& candidate : candidates) {
    const auto [from, to] = drivers.equal_range(module_key(candidate.module));
    for (auto it = from; it != to; ++it) {
      candidate.driver = it->second;
      out.push_back(candidate);
    }
    if (from != to) continue;
    // Its `module` link may name another, which registers drivers for it: usbserial, comedi_pci.
    const auto own = std::ranges::find_if(drivers, [&](const auto& row) {
      return module_key(row.second) == module_key(candidate.module);
    });
    if (own != drivers.end()) candidate.driver = own->second;
    out.push_back(std::move(candidate));
  }
  return out;
}

bool is_registered(Sysfs& root, const BusName& bus, const std::string& name) {
  const auto driver = DriverName::parse(name);
  return driver && root.open_dir(driver_path(bus, *driver)).has_value();
}

std::string verdict_of(Sysfs& root, const Explanation& e) {
  if (e.device.busy)
    return "not known: it is busy, and the kernel does not tell its driver_override meanwhile";
  const auto& override = e.device.driver_override;
  const std::string forced = override.value_or("");
  const bool there = override && is_registered(root, e.device.id.bus, forced);
  if (override && !there) {
    const std::string now =
        e.device.driver ? "; " + e.device.driver->str() + " keeps it until it is unbound" : "";
    return fmt::format("driver_override names {}, which is no driver now: nobody else can get it{}",
                       forced, now);
  }
  if (e.device.driver) {
    const std::string& name = e.device.driver->str();
    if (forced == name) return name + " has it, by driver_override: no other driver can get it";
    if (override)
      return fmt::format("{} has it until it is unbound; then only {}, by driver_override", name,
                         forced);
    const auto known = std::ranges::find(e.candidates, name, &Candidate::driver);
    if (known != e.candidates.end()) return fmt::format("{} has it, {}", name, known->rule);
    return name +
           " has it; by which id cannot be seen (a dynamic id, a driver that is built in, or an "
           "override since cleared)";
  }
  if (override)
    return fmt::format("driverless; {} gets it at the next probe, by driver_override", forced);
  const auto ready = std::ranges::count_if(
      e.candidates, [](const Candidate& c) { return !c.driver.empty() && !c.is_vfio; });
  if (ready == 0) return "driverless, and no driver that is loaded is known to match it";
  if (ready == 1) return "driverless; the one loaded driver that matches gets it at the next probe";
  return "driverless; of the loaded drivers that match, the one that registered first gets it at "
         "the next probe";
}

void add_group_obstacles(const Host& host, const Explanation& e, const DriverName& driver,
                         std::vector<Obstacle>& out) {
  if (!e.group) {
    if (needs_iommu_group(driver.str())) out.push_back(no_group_obstacle(host));
    return;
  }
  const Makers makers(host.sysfs, {e.device.id});
  for (const GroupMember& member : e.group->members) {
    if (!member.blocks_user_space(host.rule) || member.id == e.device.id) continue;
    if (makers.takes(member.id)) continue;  // it goes away with the device's driver
    // Taking the whole group leaves bridges alone.
    const Remark next = member.is_bridge
                            ? Remark(Action::kUnbind, {member.id.str()})
                            : Remark(Action::kBindGroup, {e.device.id.str(), driver.str()});
    out.push_back({.what = fmt::format("IOMMU group {} is not viable: {} is on {}", e.group->number,
                                       member.id.str(), member.driver_words()),
                   .advice = next});
  }
}

}  // namespace

std::string name_to_ask_for(const Candidate& candidate) {
  if (!candidate.driver.empty()) return candidate.driver;
  return module_key(candidate.module) == "vfio_pci" ? "vfio-pci" : candidate.module;
}

std::vector<Candidate> match_aliases(std::string_view modules_alias, const std::string& modalias) {
  std::vector<Candidate> out;
  const std::string prefix = modalias.substr(0, modalias.find(':') + 1);
  while (!modules_alias.empty() && !prefix.empty()) {
    const auto end = modules_alias.find('\n');
    const std::string_view line = modules_alias.substr(0, end);
    modules_alias.remove_prefix(end == std::string_view::npos ? modules_alias.size() : end + 1);
    // Most of the million bytes are of other buses; look before matching.
    if (!line.contains(prefix) || line.size() > 1024) continue;
    auto candidate = match_line(line, modalias);
    if (candidate && candidate->module.empty()) continue;
    const auto same = [&](const Candidate& c) {
      return c.module == candidate->module && c.is_vfio == candidate->is_vfio;
    };
    if (candidate && std::ranges::none_of(out, same)) out.push_back(*std::move(candidate));
  }
  return out;
}

std::string vfio_variant_aliases(std::string_view modules_alias) {
  std::string out;
  // Not string_view::find(), which stops at the first letter of the word too often here.
  const auto next = [&](std::size_t from) {
    const char* start = modules_alias.data() + from;
    const void* at =
        ::memmem(start, modules_alias.size() - from, kVfioAlias.data(), kVfioAlias.size());
    return at == nullptr
               ? std::string_view::npos
               : static_cast<std::size_t>(static_cast<const char*>(at) - modules_alias.data());
  };
  for (auto at = next(0); at != std::string_view::npos; at = next(at + 1)) {
    const auto before = modules_alias.rfind('\n', at);
    const auto start = before == std::string_view::npos ? 0 : before + 1;
    const std::string_view line = modules_alias.substr(start, modules_alias.find('\n', at) - start);
    const std::string_view module = line.substr(line.rfind(' ') + 1);
    if (module_key(module) != "vfio_pci") out.append(line).append("\n");
    at = start + line.size() - 1;  // each line once, however often the word is in it
  }
  return out;
}

std::vector<Candidate> vfio_variants(Sysfs& root, const BusName& bus, const std::string& modalias,
                                     std::string_view aliases) {
  auto found = match_aliases(aliases, modalias);
  std::erase_if(found, [](const Candidate& candidate) { return !candidate.is_vfio; });
  if (found.empty()) return found;
  auto out = with_drivers(root, bus, std::move(found));
  for (Candidate& candidate : out) {
    if (candidate.driver.empty()) candidate.driver = candidate.module;
  }
  return out;
}

Result<Explanation> explain_device(Sysfs& root, const DeviceId& id,
                                   std::string_view modules_alias) {
  const auto dir = root.open_dir(id.path());
  if (!dir) {
    return fail({.kind = ErrorKind::kNotFound,
                 .object = id.str(),
                 .why = "no such device",
                 .advice = Action::kList});
  }
  Explanation out{.device = TRY(read_device(**dir, id))};
  out.candidates = with_drivers(root, id.bus, match_aliases(modules_alias, out.device.modalias));
  if (out.device.iommu_group) {
    if (auto group = read_group_view(root, *out.device.iommu_group)) out.group = *std::move(group);
  }
  const auto gate = root.read(id.path() + "/physfn/sriov_drivers_autoprobe");
  out.is_gated = gate && gate->starts_with('0') && !out.device.driver_override;
  out.verdict = verdict_of(root, out);
  return out;
}

Obstacle no_group_obstacle(const Host& host) {
  IommuState state = read_iommu_state(host);
  if (!state.is_on())
    return {.what = "it is in no IOMMU group: " + state.why, .advice = std::move(state.advice)};
  return {.what = fmt::format("it is in no IOMMU group, as {} of {} PCI functions are: the IOMMU "
                              "does not cover it",
                              state.in_groups, state.functions),
          .advice = std::move(state.advice)};
}

std::vector<Obstacle> obstacles_for(const Host& host, const Explanation& e,
                                    const DriverName& driver) {
  Sysfs& root = host.sysfs;
  ModuleLoader* const modules = host.modules;
  std::vector<Obstacle> out;
  const DeviceId& id = e.device.id;
  if (e.device.busy) {
    const Error error = read_error({ETIMEDOUT}, "", id);
    out.push_back({.what = error.why, .advice = error.advice});
  }
  const bool registered = is_registered(root, id.bus, driver.str());
  const auto module = registered || modules == nullptr ? std::nullopt : modules->find(driver.str());
  if (module && !module->forbidden.empty()) {
    out.push_back({.what = fmt::format("its module {} shall never be loaded: {}", module->name,
                                       module->forbidden),
                   .advice = {}});
  } else if (!registered &&
             (!module || module->built_in || root.open_dir("module/" + module_key(module->name)))) {
    const auto names = read_driver_names(root, id.bus);
    const auto near = names ? nearest(driver.str(), *names) : std::vector<std::string>{};
    out.push_back(
        {.what = fmt::format("no driver {} on the {} bus now", driver.str(), id.bus.str()),
         .advice = near.empty()
                       ? "load its module, for instance: modprobe " + shell_quote(driver.str())
                       : "did you mean " + join_words(near, "or") + "?"});
  }
  if (is_vfio_driver(driver.str())) add_group_obstacles(host, e, driver, out);
  const bool is_bridge = e.device.pci && e.device.pci->is_bridge();
  if (is_bridge)
    out.push_back({.what = "it is a bridge: everything behind it would be cut off", .advice = {}});
  const auto groups = e.group ? std::vector{e.group->number} : std::vector<unsigned>();
  auto refusals = vfio_refusals(root, driver, {id}, groups);
  if (auto refused =
          e.group && is_vfio_driver(driver.str()) ? refused_interrupts(host) : std::nullopt)
    refusals.push_back(*std::move(refused));
  for (const VfioRefusal& refusal : refusals) {
    if (is_bridge && refusal.guard == kPciHeader) continue;  // said already
    out.push_back({.what = fmt::format("{}, {}: {}", refusal.object, refusal.guard, refusal.what),
                   .advice = refusal.way_out()});
  }
  return out;
}

}  // namespace anybind
