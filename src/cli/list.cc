// list: a line a device. The verb that must be cheap: on a machine with tens of thousands of
// virtual functions it costs little more than the system calls that nobody can leave out.
#include <malloc.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/try.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/choose.h"
#include "cli/device_table.h"
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
  std::vector<std::string> syspaths;
  syspaths.reserve(devices.size());
  for (const Device& device : devices) syspaths.push_back(read_syspath(context.sysfs, device.id));
  const auto in_use = context.verbosity >= 1
                          ? std::optional(context.session.in_use(ids_of(devices)))
                          : std::nullopt;
  return wire::list_text(devices, syspaths, read_users(context.sysfs), in_use ? &*in_use : nullptr,
                         names, context.sysfs_root, text_of);
}

void print_table(Context& context, const std::vector<Device>& devices, PciNames& names,
                 const Sink& sink) {
  const Look look{.color = context.color, .width = context.width, .header = context.verbosity >= 0};
  if (context.verbosity < 1) return print_devices(devices, nullptr, names, look, sink);
  const Uses uses{.users = read_users(context.sysfs),
                  .in_use = context.session.in_use(ids_of(devices))};
  if (uses.in_use.unseen != 0) say(context.err, "anybind: {}\n", unseen_words(uses.in_use.unseen));
  print_devices(devices, &uses, names, look, sink);
}

Result<int> run_list(Context& context, const std::vector<std::string>& selectors) {
  ::mallopt(M_MMAP_THRESHOLD,
            32 << 20);  // what a growing vector leaves is used again, not unmapped
  const auto ids = TRY(selectors.empty() ? all_pci_devices(context)
                                         : select_devices(context.sysfs, without_dev(selectors),
                                                          context.sysfs_root));
  const auto devices = TRY(read_inventory(context.sysfs, ids, threads_for(context, ids.size())));
  PciNames names(context.names_file);
  const Sink sink = [&](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), context.out);
  };
  if (context.json) {
    answer_text(context, as_json(context, devices, names));
  } else {
    print_table(context, devices, names, sink);
  }
  return 0;
}

}  // namespace

Run setup_list(CLI::App& app) {
  auto selectors = std::make_shared<std::vector<std::string>>();
  app.add_option("selector", *selectors, "which devices; all of the pci bus when left out");
  return [selectors](Context& context) { return run_list(context, *selectors); };
}

}  // namespace anybind::cli
