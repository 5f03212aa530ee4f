// list: a line a device. The verb that must be cheap: on a machine with tens of thousands of
// virtual functions it costs little more than the system calls that nobody can leave out.
#include <malloc.h>

#include <memory>
#include <optional>
#include <set>

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
#include "users/listing.h"
#include "wire/device.h"

namespace anybind::cli {
namespace {

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
  return threads_worth(devices);
}

std::vector<DeviceId> ids_of(const std::vector<Device>& devices) {
  std::vector<DeviceId> out;
  out.reserve(devices.size());
  for (const Device& device : devices) out.push_back(device.id);
  return out;
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
                const std::vector<ListedGroup>& groups, PciNames& names) {
  const Look look{.color = context.color, .width = context.width, .header = context.verbosity >= 0};
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
  const unsigned threads = threads_for(context, ids.size());
  PciNames names(context.names_file);
  if (context.json && !options.groups) {
    const auto with_use = context.verbosity >= 1 ? WithUse::kYes : WithUse::kNo;
    const Listing listing = TRY(read_listing(context.session.host(), ids, threads, with_use));
    answer_text(context, wire::list_text(listing, names, context.sysfs_root, text_of));
    return 0;
  }
  const auto devices = TRY(read_inventory(context.sysfs, ids, threads));
  const auto groups =
      TRY(options.groups ? groups_of(context, devices) : Result<std::vector<ListedGroup>>());
  if (context.json) {
    answer_groups(context, groups, context.session.host().rule);
  } else {
    print_list(context, options, devices, groups, names);
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
