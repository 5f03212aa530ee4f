// Programs that break one promise each, and whether that is seen.
#include "race/monitor.h"

#include <gtest/gtest.h>

#include "race/cell.h"

namespace anybind::race {
namespace {

const std::string kDevices = "bus/pci/devices/";

void write(Task& task, const std::string& path, const std::string& text) {
  (void)task.sysfs.write(path, text + "\n");
}

/// The letters of the promises that are broken in some ordering.
std::string broken_by(bool (*run)(Task&), const char* scenario, const char* profile) {
  const Mechanism mechanism{"test", profile, "", run};
  const auto cell = explore(mechanism, {find_scenario(scenario)});
  if (!cell) return cell.error().message();
  std::string out;
  for (unsigned promise = 0; promise < kPromises; ++promise) {
    if (cell->broken.at(promise).orderings > 0) out += properties().at(promise).letter;
  }
  return out;
}

TEST(MonitorTest, ATargetThatIsSaidAndNotReached) {
  const auto claim = [](Task& task) { return task.sysfs.list(kDevices + task.device).has_value(); };
  const auto admit = [](Task& task) { return !task.sysfs.list(kDevices + task.device); };
  EXPECT_EQ(broken_by(claim, "alone", "linux-6.12"), "A");
  EXPECT_EQ(broken_by(admit, "alone", "linux-6.12"), "");
}

TEST(MonitorTest, AnotherDeviceOnTheTarget) {
  const auto run = [](Task& task) {
    const std::string other(kSecond);
    write(task, kDevices + other + "/driver_override", task.driver);
    write(task, kDevices + other + "/driver/unbind", other);
    write(task, "bus/pci/drivers_probe", other);
    write(task, kDevices + other + "/driver/unbind", other);
    write(task, kDevices + other + "/driver_override", "");
    write(task, "bus/pci/drivers_probe", other);
    return false;
  };
  EXPECT_EQ(broken_by(run, "alone", "linux-6.12"), "B");
}

TEST(MonitorTest, AnotherDeviceLeftWithoutItsDriver) {
  const auto run = [](Task& task) {
    const std::string other(kSecond);
    write(task, kDevices + other + "/driver/unbind", other);
    return false;
  };
  EXPECT_EQ(broken_by(run, "alone", "linux-6.12"), "CH");
}

TEST(MonitorTest, AThirdDriverOnTheDevice) {
  const auto run = [](Task& task) {
    write(task, kDevices + task.device + "/driver_override", "anynic");
    write(task, kDevices + task.device + "/driver/unbind", task.device);
    write(task, "bus/pci/drivers_probe", task.device);
    write(task, kDevices + task.device + "/driver_override", "");
    return false;
  };
  EXPECT_EQ(broken_by(run, "probe-fails", "linux-6.12"), "D");
}

TEST(MonitorTest, AHostDriverInAGroupThatUserSpaceHolds) {
  const auto run = [](Task&) { return false; };
  EXPECT_EQ(broken_by(run, "held-group", "linux-6.12"), "");
  EXPECT_EQ(broken_by(run, "held-group", "linux-3.14"), "E") << "before DMA ownership";
}

TEST(MonitorTest, WhatIsLeftBehind) {
  EXPECT_EQ(broken_by(
                [](Task& task) {
                  write(task, "bus/pci/drivers_autoprobe", "0");
                  return false;
                },
                "alone", "linux-6.12"),
            "F");
  EXPECT_EQ(broken_by(
                [](Task& task) {
                  write(task, kDevices + task.device + "/driver_override", "none");
                  return false;
                },
                "alone", "linux-6.12"),
            "F");
  EXPECT_EQ(broken_by(
                [](Task& task) {
                  write(task, "bus/pci/drivers/vfio-pci/new_id", "8086 9999");
                  return false;
                },
                "alone", "linux-6.12"),
            "F");
}

}  // namespace
}  // namespace anybind::race
