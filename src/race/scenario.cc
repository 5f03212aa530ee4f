#include "race/scenario.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "drivercore/file/machine.h"

namespace anybind::race {
namespace {

using drivercore::DriverCore;

constexpr int kDefer = -517;

const std::string kNewcomer = "0000:06:00.0";
const std::string kNewDisk = "0000:07:00.0";
const std::string kHeld = "0000:08:00.0";
const std::string kGroupMate = "0000:08:00.1";
const std::string kPhysical = "0000:09:00.0";
const std::string kWaiting = "0000:0a:00.0";
const std::string kWaitingDisk = "0000:0b:00.0";
const std::string kRemoved = "0000:0c:00.0";
const std::string kParked = "0000:05:00.0";

void plug(Stage& stage, const std::string& card) {
  stage.call("hot-add " + card, [&] { return stage.kernel().hot_add(card); });
}

void unplug_chosen(Stage& stage) {
  const std::string card(kChosen);
  stage.call("unplug " + card, [&] { return stage.kernel().unplug(card); });
}

void write(Stage& stage, const std::string& path, const std::string& text) {
  (void)stage.sysfs()->write(path, text + "\n");
}

void set_probe(DriverCore& kernel, std::string_view driver, int result, std::string_view device) {
  kernel.set_probe(std::string(driver), result, std::string(device));
}

/// What a probe of the card at the chosen address answers was said of the card that was there.
void forget_probes(DriverCore& kernel) {
  for (const std::string_view driver : {kTarget, kHost}) set_probe(kernel, driver, 0, kChosen);
}

/// A device whose probe was deferred, and would succeed now.
void make_deferred(DriverCore& kernel, const std::string& driver, const std::string& device) {
  set_probe(kernel, driver, kDefer, device);
  (void)kernel.unbind("pci", driver, device);
  (void)kernel.drivers_probe("pci", device);
  set_probe(kernel, driver, 0, device);
}

/// Removed through sysfs, and still in its slot.
void prepare_rescan(DriverCore& kernel, unsigned variant) {
  if (variant == 1) (void)kernel.remove(kernel.key_of("pci", kRemoved), "1");
}

constexpr std::array kScenarios = {
    Scenario{.name = "alone", .head = "nil", .summary = "nothing else happens"},
    Scenario{
        .name = "same-id",
        .head = "hot",
        .summary = "a card of the same type is plugged in",
        .devices =
            R"({ address = "0000:06:00.0", id = "8086:10d3", class = "020000", group = 6, present = false },)",
        .actor = "hot-plug",
        .act = [](Stage& stage, unsigned /*variant*/) { plug(stage, kNewcomer); }},
    Scenario{
        .name = "other-id",
        .head = "oth",
        .summary = "a card of another type is plugged in",
        .devices =
            R"({ address = "0000:07:00.0", id = "144d:a80a", class = "010802", group = 7, present = false },)",
        .actor = "hot-plug",
        .act = [](Stage& stage, unsigned /*variant*/) { plug(stage, kNewDisk); }},
    Scenario{
        .name = "held-group",
        .head = "grp",
        .summary = "a card comes into an IOMMU group that user space holds",
        .devices =
            R"({ address = "0000:08:00.0", id = "8086:1521", class = "020000", group = 8, driver = "vfio-pci" },
  { address = "0000:08:00.1", id = "8086:10d3", class = "020000", group = 8, present = false },)",
        .groups = "[[group]]\nnumber = 8\nheld = true\n",
        // So the target's module cannot go.
        .prepare = [](DriverCore& kernel,
                      unsigned /*variant*/) { (void)kernel.open_device("pci", kHeld, true); },
        .actor = "hot-plug",
        .act = [](Stage& stage, unsigned /*variant*/) { plug(stage, kGroupMate); }},
    Scenario{.name = "unplug",
             .head = "unp",
             .summary = "the device is unplugged",
             .actor = "hot-plug",
             .act = [](Stage& stage, unsigned /*variant*/) { unplug_chosen(stage); },
             .of_chosen = true},
    Scenario{
        .name = "replace",
        .head = "rep",
        .summary = "the device is replaced by another card, of the same or of another type",
        .devices =
            R"({ address = "0000:03:00.0", id = "8086:10d3", class = "020000", group = 3, present = false },
  { address = "0000:03:00.0", id = "144d:a80a", class = "010802", group = 3, present = false },)",
        .prepare =
            [](DriverCore& kernel, unsigned variant) {
              // The first of that name in the drawer is what is plugged in.
              auto state = kernel.state();
              if (variant == 1) std::ranges::reverse(state.drawer);
              kernel = DriverCore(std::move(state));
            },
        .variants = 2,
        .actor = "hot-plug",
        .act =
            [](Stage& stage, unsigned /*variant*/) {
              unplug_chosen(stage);
              stage.call("hot-add " + std::string(kChosen), [&] {
                forget_probes(stage.kernel());
                return stage.kernel().hot_add(std::string(kChosen));
              });
            },
        .of_chosen = true},
    Scenario{.name = "host-module",
             .head = "mod",
             .summary = "the host driver's module is loaded, which it was not",
             .actor = "udev",
             .act =
                 [](Stage& stage, unsigned /*variant*/) {
                   stage.call("modprobe e1000e",
                              [&] { return stage.kernel().load_module("e1000e"); });
                 },
             .host_loaded = false},
    Scenario{.name = "target-unload",
             .head = "rmm",
             .summary = "the target driver's module is unloaded",
             .actor = "rmmod",
             .act =
                 [](Stage& stage, unsigned /*variant*/) {
                   stage.call("rmmod vfio_pci",
                              [&] { return stage.kernel().unload_module("vfio_pci"); });
                 }},
    Scenario{.name = "second-other",
             .head = "2nd",
             .summary = "a second administrator does the same with another device",
             .second_admin = kSecond},
    Scenario{.name = "second-same",
             .head = "sam",
             .summary = "a second administrator does the same with the same device",
             .second_admin = kChosen},
    Scenario{.name = "deferred",
             .head = "def",
             .summary = "a deferred probe, of the same or of another type, is retried",
             .devices =
                 R"({ address = "0000:0a:00.0", id = "8086:10d3", class = "020000", group = 10 },
  { address = "0000:0b:00.0", id = "144d:a80a", class = "010802", group = 11 },)",
             .prepare =
                 [](DriverCore& kernel, unsigned variant) {
                   if (variant == 0) make_deferred(kernel, std::string(kHost), kWaiting);
                   if (variant == 1) make_deferred(kernel, "nvme", kWaitingDisk);
                 },
             .variants = 2,
             .retries = true},
    Scenario{.name = "probe",
             .head = "prb",
             .summary = "someone writes the device to drivers_probe, or writes rescan",
             .devices =
                 R"({ address = "0000:0c:00.0", id = "8086:10d3", class = "020000", group = 12 },)",
             .prepare = prepare_rescan,
             .variants = 2,
             .actor = "someone",
             .act =
                 [](Stage& stage, unsigned variant) {
                   if (variant == 0) write(stage, "bus/pci/drivers_probe", std::string(kChosen));
                   if (variant == 1) write(stage, "bus/pci/rescan", "1");
                 }},
    Scenario{
        .name = "vfs",
        .head = "vfs",
        .summary = "a virtual function of the same type appears",
        .devices =
            R"({ address = "0000:09:00.0", id = "8086:1521", class = "020000", group = 9, total_vfs = 1, vf_device = "10d3", vf_offset = 1 },)",
        .actor = "someone",
        .act =
            [](Stage& stage, unsigned /*variant*/) {
              write(stage, "bus/pci/devices/" + kPhysical + "/sriov_numvfs", "1");
            }},
    Scenario{.name = "kill",
             .head = "kil",
             .summary = "the administrator's program is killed",
             .kill = true},
    Scenario{.name = "kill-recover",
             .head = "rec",
             .summary = "the administrator's program is killed, and what can recover does so",
             .kill = true,
             .recover = true},
    Scenario{.name = "probe-fails",
             .head = "bad",
             .summary = "the target's probe fails, or the host driver's too; another driver would "
                        "match",
             .prepare =
                 [](DriverCore& kernel, unsigned variant) {
                   set_probe(kernel, kTarget, -EIO, kChosen);
                   if (variant == 1) set_probe(kernel, kHost, -EIO, kChosen);
                 },
             .variants = 2,
             .third_driver = true},
    Scenario{.name = "parked",
             .head = "prk",
             .summary = "a card of the same type is without a driver on purpose",
             .devices =
                 R"({ address = "0000:05:00.0", id = "8086:10d3", class = "020000", group = 5 },)",
             .prepare =
                 [](DriverCore& kernel, unsigned /*variant*/) {
                   (void)kernel.unbind("pci", std::string(kHost), kParked);
                 },
             .parked = "0000:05:00.0"},
};

std::string driver_lines(const Setting& setting, bool host_loaded, bool third_driver) {
  const std::string target =
      R"(  { name = "vfio-pci", module = "vfio_pci", managed_dma = true, needs_group = true, ids = ["*:* override_only"] },
)";
  const std::string host = fmt::format(
      R"(  {{ name = "e1000e", ids = ["8086:10d3"]{}{} }},
)",
      host_loaded ? "" : ", loaded = false", setting.host_is_async ? ", async = true" : "");
  std::string out = setting.target_first ? target + host : host + target;
  out += R"(  { name = "igb", ids = ["8086:1521"], sriov = "leaves" },
  { name = "nvme", ids = ["*:* class=010802/ffffff"] },
)";
  if (third_driver) out += "  { name = \"anynic\", ids = [\"*:* class=020000/ffffff\"] },\n";
  return out;
}

}  // namespace

std::span<const Scenario> scenarios() {
  return kScenarios;
}

const Scenario* find_scenario(std::string_view name) {
  const auto* found = std::ranges::find(kScenarios, name, &Scenario::name);
  return found == kScenarios.end() ? nullptr : found;
}

std::vector<Setting> settings_of(const Question& question) {
  std::vector<Setting> out = {{.of = question}};
  for (const Scenario* scenario : question.scenarios) {
    std::vector<Setting> more;
    for (const Setting& setting : out) {
      for (unsigned variant = 0; variant < scenario->variants; ++variant) {
        more.push_back(setting);
        more.back().variants.push_back(variant);
      }
    }
    out = std::move(more);
  }
  const auto twice = [&](auto change) {
    const auto half = out.size();
    for (std::size_t i = 0; i < half; ++i) {
      out.push_back(out[i]);
      change(out.back());
    }
  };
  const auto profile = profile_of(*question.mechanism, question.kernel);
  // Of the policy it decides nothing where there is an override, and elsewhere, nothing is
  // promised.
  const bool goes_by_order = !question.mechanism->is_policy;
  if (goes_by_order) twice([](Setting& setting) { setting.target_first = false; });
  const bool comes_later = std::ranges::any_of(
      question.scenarios, [](const Scenario* s) { return !s->host_loaded || s->retries; });
  const bool add_asks_both =
      goes_by_order && profile && profile->has(drivercore::Change::kAddAsksSyncDriversFirst);
  if (comes_later || add_asks_both) twice([](Setting& setting) { setting.host_is_async = true; });
  return out;
}

Result<DriverCore> machine_of(const Setting& setting) {
  bool host_loaded = true;
  bool third_driver = false;
  std::string devices;
  std::string groups;
  for (const Scenario* scenario : setting.of.scenarios) {
    host_loaded = host_loaded && scenario->host_loaded;
    third_driver = third_driver || scenario->third_driver;
    if (!devices.contains(scenario->devices)) devices += fmt::format("  {}\n", scenario->devices);
    groups += scenario->groups;
  }
  const std::string text = fmt::format(
      R"(driver = [
{}]
device = [
  {{ address = "{}", id = "8086:10d3", class = "020000", group = 3{} }},
  {{ address = "{}", id = "8086:10d3", class = "020000", group = 4 }},
{}]
{})",
      driver_lines(setting, host_loaded, third_driver), kChosen,
      setting.of.mechanism->is_policy ? ", present = false" : "", kSecond, devices, groups);
  const auto& [mechanism, scenarios, version] = setting.of;
  const auto profile = profile_of(*mechanism, version);
  if (!profile) {
    return fail({.kind = ErrorKind::kUsage,
                 .object = std::string(mechanism->name),
                 .why = fmt::format("Linux {} does not have what it needs", version.str())});
  }
  auto state = TRY(drivercore::load_machine(text, "scenario"));
  state.profile = *profile;
  DriverCore kernel(std::move(state));
  if (mechanism->ids_given_before) {
    (void)kernel.new_id("pci", std::string(kTarget), kChosenId);
  }
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    if (scenarios[i]->prepare != nullptr) {
      scenarios[i]->prepare(kernel, setting.variants[i]);
    }
  }
  return kernel;
}

}  // namespace anybind::race
