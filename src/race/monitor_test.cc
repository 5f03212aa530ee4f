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
std::string broken_by(bool (*run)(Task&), const char* scenario,
                      KernelVersion kernel = kUsualKernel) {
  const Mechanism mechanism{"test", {}, "", run};
  const auto cell =
      explore({.mechanism = &mechanism, .scenarios = {find_scenario(scenario)}, .kernel = kernel});
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
  EXPECT_EQ(broken_by(claim, "alone"), "A");
  EXPECT_EQ(broken_by(admit, "alone"), "");
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
  EXPECT_EQ(broken_by(run, "alone"), "B");
}

TEST(MonitorTest, AnotherDeviceLeftWithoutItsDriver) {
  const auto run = [](Task& task) {
    const std::string other(kSecond);
    write(task, kDevices + other + "/driver/unbind", other);
    return false;
  };
  EXPECT_EQ(broken_by(run, "alone"), "CH");
}

TEST(MonitorTest, AThirdDriverOnTheDevice) {
  const auto run = [](Task& task) {
    write(task, kDevices + task.device + "/driver_override", "anynic");
    write(task, kDevices + task.device + "/driver/unbind", task.device);
    write(task, "bus/pci/drivers_probe", task.device);
    write(task, kDevices + task.device + "/driver_override", "");
    return false;
  };
  EXPECT_EQ(broken_by(run, "probe-fails"), "D");
}

TEST(MonitorTest, AHostDriverInAGroupThatUserSpaceHolds) {
  const auto run = [](Task&) { return false; };
  EXPECT_EQ(broken_by(run, "held-group"), "");
  EXPECT_EQ(broken_by(run, "held-group", {3, 14}), "E") << "before DMA ownership";
}

TEST(MonitorTest, WhatIsLeftBehind) {
  EXPECT_EQ(broken_by(
                [](Task& task) {
                  write(task, "bus/pci/drivers_autoprobe", "0");
                  return false;
                },
                "alone"),
            "F");
  EXPECT_EQ(broken_by(
                [](Task& task) {
                  write(task, kDevices + task.device + "/driver_override", "none");
                  return false;
                },
                "alone"),
            "F");
  EXPECT_EQ(broken_by(
                [](Task& task) {
                  write(task, "bus/pci/drivers/vfio-pci/new_id", "8086 9999");
                  return false;
                },
                "alone"),
            "F");
}

}  // namespace
}  // namespace anybind::race
