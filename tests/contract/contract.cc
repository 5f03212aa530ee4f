#include "contract.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

namespace anybind::contract {

Target* target = nullptr;

namespace {

struct Statement {
  HoldsOn holds_on;
  void (*registers)();
};
std::vector<Statement>& statements() {
  static std::vector<Statement> all;
  return all;
}

}  // namespace

namespace {

/// "remove usb/1-1", of a device that a driver has made: its other lines and its path tell more on
/// a real kernel (DEVNUM, the ports of a disk controller).
std::string told_of_made(const std::vector<std::string>& lines) {
  const auto value = [&](const std::string& key) {
    const auto found = std::ranges::find_if(
        lines, [&](const std::string& line) { return line.starts_with(key + "="); });
    return found == lines.end() ? "" : found->substr(key.size() + 1);
  };
  const std::string bus = value("SUBSYSTEM");
  if (std::ranges::find(kMadeBuses, bus) == kMadeBuses.end()) return "";
  const std::string path = value("DEVPATH");
  return value("ACTION") + " " + bus + "/" + path.substr(path.rfind('/') + 1);
}

}  // namespace

std::string told(const std::vector<std::string>& lines) {
  if (std::string made = told_of_made(lines); !made.empty()) return made;
  const auto starts = [&](std::initializer_list<const char*> texts, const std::string& line) {
    return std::ranges::any_of(texts, [&](const char* text) { return line.starts_with(text); });
  };
  std::string out;
  bool wanted = false;
  for (const std::string& line : lines) {
    if (starts({"SEQNUM=", "MAJOR=", "MINOR="}, line)) continue;
    wanted |= starts(
        {"SUBSYSTEM=pci", "SUBSYSTEM=module", "SUBSYSTEM=vfio", "DEVPATH=/bus/pci/drivers/"}, line);
    if (line == "SUBSYSTEM=pci_express" || line == "SUBSYSTEM=pci_bus") return "";
    out += (out.empty() ? "" : " ") + line;
  }
  return wanted ? out : "";
}

bool add_statement(HoldsOn holds_on, void (*registers)()) {
  statements().push_back({.holds_on = holds_on, .registers = registers});
  return true;
}

int register_statements() {
  int others = 0;
  for (const Statement& each : statements()) {
    each.holds_on(target->kernel()) ? each.registers() : void(++others);
  }
  return others;
}

void Contract::SetUp() {
  for (const char* module : {"e1000e", "e1000", "nvme", "vfio-pci", "pci-stub"}) {
    ASSERT_TRUE(target->load(module)) << module;
  }
  bus("drivers_autoprobe", "1");
  if (!exists("bus/pci/devices/" + kNicA) || !exists("bus/pci/devices/" + kEduA))
    bus("rescan", "1");
  reset_device(kNicA, "e1000e");
  reset_device(kNicB, "e1000e");
  reset_device(kNvme, "nvme");
  reset_device(kEduA, "");
  reset_device(kEduB, "");
  reset_device(kPf, "nvme");
  dev(kPf, "sriov_numvfs", "0");
  dev(kPf, "sriov_drivers_autoprobe", "1");
  (void)target->uevents();
}

void Contract::TearDown() {
  target->let_go();
  if (!test_drivers_) return;
  for (int number = 0; number < 3; ++number) target->set_probe(number, 0);
  EXPECT_TRUE(target->unload("anybind_test"));
}

void Contract::load_test_drivers() {
  // Each statement decides when the first probe comes; turning autoprobe on does not catch up.
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  ASSERT_TRUE(target->load("anybind_test"));
  test_drivers_ = true;
  ASSERT_EQ(bus("drivers_autoprobe", "1"), 0);
}

void Contract::reset_device(const std::string& device, const std::string& driver) {
  for (const char* file : {"driver_override", "preferred_driver", "driver_probe_id"}) {
    dev(device, file, "\n");  // a kernel has one of them, or none
  }
  const std::string now = driver_of(device);
  if (now == driver) return;
  if (!now.empty()) drv(now, "unbind", device);
  if (!driver.empty()) drv(driver, "bind", device);
  ASSERT_EQ(driver_of(device), driver) << "the machine could not be put back: " << device;
}

void Contract::make_free(const std::string& device) {
  const std::string now = driver_of(device);
  if (!now.empty()) {
    ASSERT_EQ(drv(now, "unbind", device), 0);
  }
  ASSERT_EQ(driver_of(device), "");
}

int Contract::write(const std::string& path, std::string_view bytes) {
  const auto reply = target->sysfs().write(path, bytes);
  return reply ? 0 : reply.error().value;
}

int Contract::bus(const std::string& file, std::string_view bytes) {
  return write("bus/pci/" + file, bytes);
}
int Contract::drv(const std::string& driver, const std::string& file, std::string_view bytes) {
  return write("bus/pci/drivers/" + driver + "/" + file, bytes);
}
int Contract::dev(const std::string& device, const std::string& file, std::string_view bytes) {
  return write("bus/pci/devices/" + device + "/" + file, bytes);
}

int Contract::read_error(const std::string& path) {
  const auto reply = target->sysfs().read(path);
  return reply ? 0 : reply.error().value;
}

std::string Contract::read(const std::string& path) {
  return target->sysfs().read(path).value_or("");
}

std::string Contract::override_of(const std::string& device) {
  return read("bus/pci/devices/" + device + "/driver_override");
}

std::string Contract::link_of(const std::string& path) {
  const auto target_text = target->sysfs().read_link(path);
  return target_text ? std::string(link_name(*target_text)) : "";
}

std::string Contract::driver_of(const std::string& device) {
  if (!exists("bus/pci/devices/" + device)) return "absent";
  return link_of("bus/pci/devices/" + device + "/driver");
}

std::string Contract::group_of(const std::string& device) {
  return link_of("bus/pci/devices/" + device + "/iommu_group");
}

bool Contract::exists(const std::string& path) {
  return target->sysfs().open_dir(path).has_value();
}

Instance Contract::instance_of(const std::string& device) {
  const auto dir = target->sysfs().open_dir("bus/pci/devices/" + device);
  if (!dir) return {};
  return (*dir)->instance().value_or(Instance{});
}

}  // namespace anybind::contract
