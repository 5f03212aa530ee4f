// Devices that a driver makes on another bus.
#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <thread>

#include "contract.h"

namespace anybind::contract {
namespace {

bool has_faux(const KernelProfile& kernel) {
  return kernel.has(Change::kFauxBus);
}

/// A bus whose devices nobody can give to another driver.
class Faux : public Contract {};

STATEMENT(has_faux, Faux, ADeviceHasTheOneDriverAndItLetsNothingGo) {
  using Names = std::vector<std::string>;
  const auto names_in = [](const std::string& path) {
    Names names = target->sysfs().list(path).value_or(Names{"(error)"});
    std::ranges::sort(names);
    return names;
  };
  const std::string device = "bus/faux/devices/reg-dummy";
  EXPECT_EQ(link_of(device + "/driver"), "faux_driver");
  EXPECT_EQ(names_in("bus/faux/drivers/faux_driver"), (Names{"reg-dummy", "uevent"}));
  EXPECT_EQ(names_in(device), (Names{"driver", "regulator", "subsystem", "uevent"}));
  EXPECT_EQ(read(device + "/uevent"), "DRIVER=faux_driver\n");
  EXPECT_EQ(write("bus/faux/drivers_probe", "reg-dummy"), 0) << "it has its driver";
  EXPECT_EQ(write("bus/faux/drivers_probe", "nosuch"), ENODEV);
  EXPECT_EQ(read("bus/faux/drivers_autoprobe"), "1\n");
}

/// Each of the three with the driver that makes devices, and all of these there. Linux finds them
/// in workers, some after the bind has returned.
class Made : public Contract {
 protected:
  using Names = std::vector<std::string>;

  void SetUp() override {
    Contract::SetUp();
    for (const char* module :
         {"xhci_pci", "usb_storage", "virtio_pci", "virtio_net", "ahci", "sd_mod"})
      ASSERT_TRUE(target->load(module)) << module;
    reset_device(kUsbHost, "xhci_hcd");
    reset_device(kVirtioNic, "virtio-pci");
    reset_device(kSata, "ahci");
    ASSERT_TRUE(soon([&] { return count("block") == 2 && exists("bus/virtio/devices/virtio0"); }));
    (void)target->uevents();
  }
  void TearDown() override {
    reset_device(kUsbHost, "xhci_hcd");
    reset_device(kVirtioNic, "virtio-pci");
    reset_device(kSata, "ahci");
    Contract::TearDown();
  }

  static bool soon(const std::function<bool()>& condition) {
    for (int tries = 0; tries < 300; ++tries) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }
  static std::size_t count(const std::string& kind) {
    const auto names = target->sysfs().list("class/" + kind).value_or(Names{});
    return static_cast<std::size_t>(std::ranges::count_if(
        names, [](const std::string& name) { return name.starts_with("sd"); }));
  }
  /// "usb/2-1 usb-storage", by its path.
  static std::map<std::string, std::string> below(const std::string& device) {
    std::map<std::string, std::string> out;
    for (const std::string& bus : kMadeBuses) {
      const std::string dir = "bus/" + bus + "/devices";
      for (const std::string& name : target->sysfs().list(dir).value_or(Names{})) {
        const auto path = target->sysfs().read_link(dir + "/" + name);
        if (!path || !path->contains("/" + device + "/")) continue;
        const auto driver = target->sysfs().read_link(dir + "/" + name + "/driver");
        out[*path] = bus + "/" + name + " " + (driver ? std::string(link_name(*driver)) : "");
      }
    }
    return out;
  }
  /// The same without what no two times have alike: hosts and ports of disks are numbered by a
  /// counter on some kernels.
  static Names shape(const std::map<std::string, std::string>& devices) {
    Names out;
    for (const auto& [path, line] : devices) {
      const bool numbered = line.starts_with("scsi/");
      out.push_back(numbered ? "scsi" + line.substr(line.find(' ')) : line);
    }
    std::ranges::sort(out);
    return out;
  }
  static Names removed(const Names& events) {
    Names out;
    for (const std::string& event : events) {
      if (event.starts_with("remove ")) out.push_back(event.substr(event.find(' ') + 1));
    }
    return out;
  }

  /// What all three have in common.
  void go_and_come_back(const std::string& device, const std::string& driver) {
    const auto before = below(device);
    ASSERT_FALSE(before.empty());
    (void)target->uevents();
    ASSERT_EQ(drv(driver, "unbind", device), 0);
    EXPECT_TRUE(below(device).empty()) << below(device).begin()->second;
    tell_in_order(before);
    ASSERT_EQ(drv(driver, "bind", device), 0);
    EXPECT_TRUE(soon([&] { return shape(below(device)) == shape(before); }))
        << below(device).size();
  }

  /// Each has its remove event, what is below it first.
  static void tell_in_order(const std::map<std::string, std::string>& before) {
    const Names gone = removed(target->uevents());
    const auto when = [&](const std::string& line) {
      return std::ranges::find(gone, line.substr(0, line.find(' ')));
    };
    for (const auto& [path, line] : before) {
      ASSERT_NE(when(line), gone.end()) << "no event for " << line;
      for (const auto& [above, other] : before) {
        if (!path.starts_with(above + "/")) continue;
        EXPECT_LT(when(line), when(other)) << line << " is below " << other;
      }
    }
  }
};

TEST_F(Made, UsbDevicesGoWithTheDriverOfTheHostControllerAndComeBackWithIt) {
  go_and_come_back(kUsbHost, "xhci_hcd");
}

TEST_F(Made, AVirtioDeviceGoesWithVirtioPciAndComesBackWithIt) {
  go_and_come_back(kVirtioNic, "virtio-pci");
}

TEST_F(Made, DisksGoWithTheDriverOfTheirControllerAndComeBackWithIt) {
  go_and_come_back(kSata, "ahci");
}

TEST_F(Made, WhatIsInAPortOfAHubGoesWithTheDriverOfTheHub) {
  const auto before = below("usb2");
  ASSERT_EQ(write("bus/usb/drivers/hub/unbind", "2-0:1.0"), 0);
  const auto left = below("usb2");
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left.begin()->second, "usb/2-0:1.0 ");
  ASSERT_EQ(write("bus/usb/drivers/hub/bind", "2-0:1.0"), 0);
  EXPECT_TRUE(soon([&] { return shape(below("usb2")) == shape(before); }));
}

STATEMENT(has_override, Made, NoneIsThereUnderAVfioDriver) {
  make_free(kVirtioNic);
  ASSERT_EQ(dev(kVirtioNic, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("vfio-pci", "bind", kVirtioNic), 0);
  EXPECT_TRUE(below(kVirtioNic).empty());
  reset_device(kVirtioNic, "virtio-pci");
  EXPECT_TRUE(soon([&] { return !below(kVirtioNic).empty(); }));
}

TEST_F(Made, ARemovedControllerTakesThemAndARescanBringsThem) {
  const auto before = below(kUsbHost);
  ASSERT_EQ(dev(kUsbHost, "remove", "1"), 0);
  EXPECT_FALSE(exists("bus/usb/devices/usb1"));
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_TRUE(soon([&] { return shape(below(kUsbHost)) == shape(before); }));
}

}  // namespace
}  // namespace anybind::contract
