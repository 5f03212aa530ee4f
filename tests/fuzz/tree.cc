// A sysfs whose every answer comes from the input (hostile_sysfs.h): everything that only reads it
// ends, crashes nowhere, and prints nothing that steers a terminal. The first line has options: a
// number of the subject, and a driver.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "capture/capture.h"
#include "change/losing_drivers.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "doctor/doctor.h"
#include "drivercore/core/driver_core.h"
#include "drivercore/file/machine.h"
#include "hostile_sysfs.h"
#include "inventory/details.h"
#include "inventory/inventory.h"
#include "inventory/match.h"
#include "inventory/net_interface.h"
#include "inventory/select.h"
#include "inventory/viability.h"
#include "oracle.h"
#include "plan/plan_functions.h"
#include "plan/planner.h"
#include "record/origins.h"
#include "scratch.h"
#include "users/guards.h"
#include "users/refusal.h"

namespace {

using namespace anybind;
using fuzz::require;

constexpr std::size_t kMostPrinted = 64U << 20;
constexpr const char* kAliases =
    "alias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e\n"
    "alias vfio_pci:v000010DEd*sv*sd*bc*sc*i* nvgrace_gpu_vfio_pci\n"
    "alias pci:v*d*sv*sd*bc01sc08i02* nvme\nalias of:N*T*Cfoo fooplat\n";

void look_at(const Error& error) {
  require(!error.message().empty(), "an error without a message");
  fuzz::require_printable(error.message(), "a message that is not printable");
  for (const std::string& line : plain(error.details))
    require(fuzz::is_plain(line), "a detail", line);
}

template <class T>
bool is_there(const Result<T>& result) {
  if (!result) look_at(result.error());
  return result.has_value();
}

std::vector<DeviceId> some_devices(Sysfs& sysfs) {
  constexpr std::size_t kMost = 4;
  std::vector<DeviceId> out;
  for (const char* bus : {"pci", "platform"}) {
    const auto all = read_device_ids(sysfs, BusName::literal(bus));
    if (is_there(all)) out.insert(out.end(), all->begin(), all->end());
  }
  if (out.size() > kMost) out.erase(out.begin() + kMost, out.end());
  return out;
}

void details(Sysfs& sysfs) {
  for (const DeviceId& id : some_devices(sysfs)) {
    const auto details = read_details(sysfs, id);
    if (!is_there(details) || !details->group) continue;
    for (const auto rule : {GroupRule::kDmaOwnership, GroupRule::kDriverList}) {
      (void)judge_group(sysfs, *details->group, {id}, rule);
    }
    (void)missing_isolation(sysfs, id, *details->group);
  }
  (void)read_users(sysfs);
}

void guards(Sysfs& sysfs) {
  const auto in_use = find_blockers(sysfs, Proc(""), some_devices(sysfs));
  for (const Blocker& blocker : in_use.blockers) {
    require(std::ranges::find(guard_names(), blocker.name) != guard_names().end(),
            "a guard without a name", blocker.name);
  }
}

void explain(Sysfs& sysfs, const DriverName& driver) {
  for (const DeviceId& id : some_devices(sysfs)) {
    const auto explanation = explain_device(sysfs, id, kAliases);
    if (!is_there(explanation)) continue;
    (void)obstacles_for(Host(sysfs), *explanation, driver);
    (void)vfio_variants(sysfs, id.bus, explanation->device.modalias, kAliases);
  }
}

void doctor(Sysfs& sysfs) {
  Host host(sysfs);
  host.release = "6.12.1";
  host.memlock = 1;
  for (const Finding& finding : examine(host, {})) {
    require(!finding.check.empty() && !finding.what.empty(), "a finding that says nothing");
    require(finding.verdict != Verdict::kProblem || !finding.fix.empty(), "no fix", finding.what);
  }
}

/// Knows the aliases, and nothing else.
class Aliases final : public ModuleLoader {
 public:
  std::optional<ModuleFacts> find(std::string_view /*name*/) override { return std::nullopt; }
  Result<> load(const std::string& /*name*/, const std::function<bool()>& /*give_up*/) override {
    return {};
  }
  std::vector<std::string> names() override { return {}; }
  std::string_view aliases() override { return kAliases; }
};

void plans(Sysfs& sysfs, const DriverName& driver, bool group) {
  Aliases aliases;
  Host host(sysfs);
  host.modules = &aliases;
  const auto devices = some_devices(sysfs);
  if (devices.empty()) return;
  const auto look_at_plan = [&](const Result<HeldPlan>& plan) {
    if (!is_there(plan)) return;
    (void)MachineUsers(host, {}).refuse(losing_drivers(*plan));
    for (const DevicePlan& device : plan->devices) {
      for (const Step& step : device.steps) {
        const auto line = shell_line(device.device, step, "/sys");
        require(line.find('\0') == std::string::npos, "a line for a shell with a NUL", line);
      }
    }
  };
  look_at_plan(plan_bind(
      host,
      {.devices = devices, .driver = driver, .whole_group = group, .ignores_same_id = group}));
  look_at_plan(plan_unbind(sysfs, devices));
  const auto storage = memory_storage();
  look_at_plan(plan_restore(sysfs, devices, Origins::load(*storage, "b")->table()));
  for (const unsigned count : {0U, 2U}) {
    look_at_plan(
        plan_virtual_functions(sysfs, {.pf = devices.front(), .count = count, .driver = driver}));
  }
}

void capture(Sysfs& sysfs) {
  const std::set<BusName> buses = {BusName::literal("pci"), BusName::literal("platform"),
                                   BusName::literal("usb")};
  auto state = lab::capture(sysfs, buses, lab::parse_aliases(kAliases, ""), lab::Detail::kAll);
  if (!is_there(state)) return;
  const std::string saved =
      drivercore::save_machine(drivercore::DriverCore(*std::move(state)).state());
  require(fuzz::is_plain(saved), "a machine file that steers a terminal", saved);
  const auto again = drivercore::load_machine(saved, "captured.toml");
  require(again.has_value(), "a captured machine that cannot be loaded",
          again ? "" : again.error().message());
}

void select(Sysfs& sysfs, const std::string& text) {
  const auto devices = select_devices(sysfs, text, "/sys");
  if (!is_there(devices)) return;
  (void)is_there(read_inventory(sysfs, *devices, 1));
}

/// What a verb prints. Nothing is kept, and nobody asks this machine: its session is of an empty
/// directory.
void verb(Sysfs& sysfs, std::vector<std::string> words, bool json) {
  static const fuzz::Scratch nothing;
  static const auto session = cli::Session::open({.sysfs = nothing.path()});
  require(session.has_value(), "no session");
  static const std::map<std::string, cli::Run (*)(CLI::App&)> kVerbs = {
      {"list", cli::setup_list}, {"show", cli::setup_show},     {"explain", cli::setup_explain},
      {"bind", cli::setup_bind}, {"unbind", cli::setup_unbind}, {"vfs", cli::setup_vfs}};
  CLI::App app;
  const cli::Run run = kVerbs.at(words.front())(app);
  std::ranges::reverse(words);
  words.pop_back();
  try {
    app.parse(words);
  } catch (const CLI::ParseError&) {
    return;
  }
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* out = ::open_memstream(&text, &size);
  cli::Context context{.sysfs = sysfs,
                       .sysfs_root = "/sys",
                       .names_file = "",
                       .alias_file = "",
                       .json = json,
                       .color = false,
                       .verbosity = 1,
                       .threads = 1,
                       .width = 80,
                       .session = **session,
                       .out = out,
                       .err = out};
  const auto result = run(context);
  std::fclose(out);
  const std::unique_ptr<char, void (*)(void*)> owner(text, std::free);
  if (!result) look_at(result.error());
  require(size < kMostPrinted, "too much is printed");
  if (json) {
    require(fuzz::is_plain({text, size}), "it steers a terminal", {text, size});
  } else {
    fuzz::require_printable({text, size}, "what is printed steers a terminal");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::as_text(data, size);
  std::string_view options = fuzz::take_until(text, '\n');
  const auto subject = fuzz::take_number(options, 1000);
  if (options.starts_with(' ')) options.remove_prefix(1);
  const auto named = DriverName::parse(options);
  const DriverName driver = named ? *named : DriverName::literal("vfio-pci");
  fuzz::HostileTree tree(text);
  fuzz::HostileSysfs sysfs(tree);
  const bool other = subject >= 20;
  switch (subject % 20) {
    case 0:
      details(sysfs);
      break;
    case 1:
      guards(sysfs);
      break;
    case 2:
      explain(sysfs, driver);
      break;
    case 3:
      doctor(sysfs);
      break;
    case 4:
      plans(sysfs, driver, other);
      break;
    case 5:
      capture(sysfs);
      break;
    case 6:
      select(sysfs, std::string(options));
      break;
    case 7:
      verb(sysfs, {"list"}, other);
      break;
    case 8:
      verb(sysfs, {"show", std::string(options)}, other);
      break;
    case 9:
      verb(sysfs, {"explain", "0000:00:03.0"}, other);
      break;
    case 10:
      verb(sysfs, {"explain", "0000:00:03.0", driver.str()}, other);
      break;
    case 11:
      verb(sysfs, {"bind", "--dry-run", "0000:00:03.0", driver.str()}, false);
      break;
    case 12:
      verb(sysfs, {"unbind", "--dry-run", "0000:00:03.0"}, false);
      break;
    case 13:
      verb(sysfs, {"vfs", "--dry-run", "0000:00:03.0", "2", driver.str()}, false);
      break;
    default: {  // all of them on the same answers
      details(sysfs), guards(sysfs), explain(sysfs, driver), doctor(sysfs), capture(sysfs);
      plans(sysfs, driver, other), select(sysfs, "0000:00:03.0");
      verb(sysfs, {"list"}, other), verb(sysfs, {"show", "0000:00:03.0"}, other);
      verb(sysfs, {"explain", "0000:00:03.0", driver.str()}, other);
      verb(sysfs, {"bind", "--dry-run", "0000:00:03.0", driver.str()}, false);
    }
  }
  return 0;
}
