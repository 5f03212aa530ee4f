// list: a line a device. The verb that must be cheap: on a machine with tens of thousands of
// virtual functions it costs little more than the system calls that nobody can leave out.
#include <malloc.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <thread>

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
#include "cli/device_table.h"
#include "cli/left_out.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "inventory/inventory.h"
#include "inventory/select.h"
#include "wire/device.h"

namespace anybind::cli {
namespace {

/// Below this, starting a thread costs more than it saves.
constexpr std::size_t kWorthThreads = 500;
constexpr unsigned kMostThreads = 8;

struct ListOptions {
  std::vector<std::string> selectors;
  std::vector<std::string> except;
  bool groups = false;
  bool ids = false;
};

Result<std::vector<DeviceId>> all_pci_devices(Context& context) {
  auto ids = read_device_ids(context.sysfs, BusName::literal("pci"));
  if (!ids) ids.error().advice = "anybind list 'platform/*', if this machine has no PCI";
  return ids;
}

/// The modelled kernel is one thread's.
unsigned threads_for(const Context& context, std::size_t devices) {
  if (context.session.is_lab()) return 1;
  if (context.threads > 0) return context.threads;
  if (devices < kWorthThreads) return 1;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads);
}

std::vector<DeviceId> ids_of(const std::vector<Device>& devices) {
  std::vector<DeviceId> out;
  out.reserve(devices.size());
  for (const Device& device : devices) out.push_back(device.id);
  return out;
}

std::string as_json(Context& context, const std::vector<Device>& devices, PciNames& names) {
  std::vector<Place> places;
  places.reserve(devices.size());
  for (const Device& device : devices) places.push_back(read_place(context.sysfs, device));
  const auto in_use = context.verbosity >= 1
                          ? std::optional(context.session.in_use(ids_of(devices)))
                          : std::nullopt;
  return wire::list_text(devices, places, read_users(context.sysfs), in_use ? &*in_use : nullptr,
                         names, context.sysfs_root, text_of);
}

/// What a person wants to see beside the devices. Who uses them is asked of every process, and
/// SR-IOV of every device: that costs more than the list, and a pipe has not asked for it.
TableFacts known_of(Context& context, const ListOptions& options,
                    const std::vector<Device>& devices) {
  const bool is_verbose = context.verbosity >= 1;
  TableFacts out{.names = read_names(context.sysfs),
                 .with_ids = options.ids || is_verbose,
                 .in_full = is_verbose};
  if (context.width == 0 && !is_verbose) return out;
  out.in_use = context.session.in_use(ids_of(devices));
  if (is_verbose && out.in_use->unseen != 0)
    say(context.err, "anybind: {}\n", unseen_words(out.in_use->unseen));
  for (const Device& device : devices) {
    if (device.pci && !device.pci->is_bridge())
      out.functions.emplace(device.id, read_function_role(context.sysfs, device.id));
  }
  return out;
}

/// The devices that are meant. A selector that means none is no error here: who watches for a
/// driver's devices wants to hear that there are none.
Result<std::vector<DeviceId>> listed(Context& context, const ListOptions& options) {
  if (options.selectors.empty()) return all_pci_devices(context);
  std::vector<Error> none;
  auto out = TRY(select_what_there_is(context.sysfs, single_words(context.sysfs, options.selectors),
                                      context.sysfs_root, none));
  for (const Error& error : none) {
    if (context.verbosity < 0) break;
    const bool is_here = error.advice == Remark(Action::kList);  // which is what this is
    const std::string advice = is_here ? "" : text_of(error.advice);
    say(context.err, "anybind: {}{}{}\n", error.message(), advice.empty() ? "" : "; ",
        printable(advice, 512));
  }
  return out;
}

/// The groups of `devices`, whole, by number; those without one last.
Result<std::vector<ListedGroup>> groups_of(Context& context, const std::vector<Device>& devices) {
  std::set<unsigned> numbers;
  std::vector<Device> alone;
  for (const Device& device : devices) {
    if (device.iommu_group) {
      numbers.insert(*device.iommu_group);
    } else {
      alone.push_back(device);
    }
  }
  std::vector<ListedGroup> out;
  for (const unsigned number : numbers) {
    auto ids = read_group(context.sysfs, number);
    if (!ids) continue;  // the last of it was unplugged meanwhile
    out.push_back({.number = number, .members = TRY(read_inventory(context.sysfs, *ids, 1))});
  }
  if (!alone.empty()) out.push_back({.number = std::nullopt, .members = std::move(alone)});
  return out;
}

void answer_groups(const Context& context, const std::vector<ListedGroup>& groups, GroupRule rule) {
  wire::Json out = wire::Json::array();
  for (const ListedGroup& group : groups) {
    std::vector<GroupMember> members;
    members.reserve(group.members.size());
    for (const Device& device : group.members) members.push_back(as_member(device));
    out.push_back(wire::group_object(group.number, members, rule));
  }
  answer(context, out);
}

void print_list(Context& context, const ListOptions& options, const std::vector<Device>& devices,
                const std::vector<ListedGroup>& groups) {
  const Look look{.color = context.color, .width = context.width, .header = context.verbosity >= 0};
  PciNames names(context.names_file);
  const Sink sink = [&](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), context.out);
  };
  if (!options.groups) {
    const TableFacts known = known_of(context, options, devices);
    return print_devices(devices, known, names, look, sink);
  }
  const TableFacts known{.names = read_names(context.sysfs), .with_ids = true};
  print_groups(groups, context.session.host().rule, known, names, look, sink);
}

Result<int> run_list(Context& context, const ListOptions& options) {
  ::mallopt(M_MMAP_THRESHOLD,
            32 << 20);  // what a growing vector leaves is used again, not unmapped
  auto meant = TRY(listed(context, options));
  const auto ids = TRY(without(context, std::move(meant), options.except));
  const auto devices = TRY(read_inventory(context.sysfs, ids, threads_for(context, ids.size())));
  const auto groups =
      TRY(options.groups ? groups_of(context, devices) : Result<std::vector<ListedGroup>>());
  if (!context.json) {
    print_list(context, options, devices, groups);
  } else if (options.groups) {
    answer_groups(context, groups, context.session.host().rule);
  } else {
    PciNames names(context.names_file);
    answer_text(context, as_json(context, devices, names));
  }
  return 0;
}

}  // namespace

Run setup_list(CLI::App& app) {
  auto options = std::make_shared<ListOptions>();
  app.add_option("selector", options->selectors, "which devices; all of the pci bus when left out");
  add_except(app, options->except);
  app.add_flag("--groups", options->groups,
               "by IOMMU group, each whole, with whether it is viable: user space can open it");
  app.add_flag("--ids", options->ids, "also vendor and device, as lspci -nn prints them");
  return [options](Context& context) { return run_list(context, *options); };
}

}  // namespace anybind::cli
