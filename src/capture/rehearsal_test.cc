#include "capture/rehearsal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/memory_storage.h"
#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::Contains;
using testing::HasSubstr;

class Said final : public Listener {
 public:
  void on_plan(const Plan& plan) override { notes = plain(plan.notes); }
  void on_step(const DeviceId& device, const Step& step) override {
    lines.push_back(shell_line(device, step, "/sys"));
  }
  std::vector<std::string> notes;
  std::vector<std::string> lines;
};

/// A bus that no model has, with two drivers.
class UnknownBus : public testing::Test {
 protected:
  UnknownBus() : host_(tree_.sysfs()) {
    host_.storage = &storage_;
    host_.boot = "boot";
    tree_.device("dfl", kReal, "DRIVER=dfl_intel_m10\n");
    tree_.put(kReal + "/driver_override", "(null)\n");
    tree_.link_to(kReal + "/driver", "bus/dfl/drivers/dfl_intel_m10");
    for (const char* name : {"dfl_intel_m10", "vfio_dfl"}) {
      for (const char* file : {"bind", "unbind"})
        tree_.put(std::string("bus/dfl/drivers/") + name + "/" + file, "");
    }
  }
  Result<Rehearsal> go() {
    return rehearse(
        host_, nullptr,
        {.devices = {{.bus = BusName::literal("dfl"), .name = DeviceName::literal("dfl_dev.0")}},
         .driver = DriverName::literal("vfio_dfl")},
        said_);
  }
  const std::string kReal = "devices/pci0000:00/fpga_region/dfl_dev.0";
  TestTree tree_;
  MemoryStorage storage_;
  Host host_;
  Said said_;
};

TEST_F(UnknownBus, IsReadThroughAndSaysSo) {
  tree_.link_to(kReal + "/iommu_group", "kernel/iommu_groups/3");
  tree_.link_to("kernel/iommu_groups/3/devices/dfl_dev.0", kReal);
  const auto tried = go();
  ASSERT_TRUE(tried) << tried.error().message();
  ASSERT_TRUE(tried->predicted) << tried->predicted.error().message();
  ASSERT_EQ(tried->predicted->size(), 1U);
  EXPECT_EQ(tried->predicted->front().after.driver, DriverName::literal("vfio_dfl"));
  EXPECT_THAT(said_.notes, Contains(HasSubstr("does not know the dfl bus")));
  EXPECT_EQ(said_.lines.size(), 3U);
}

/// One that came with Linux 6.14.
TEST(Rehearsal, OfAFauxDeviceIsOnItsKernelAndElsewhereReadThrough) {
  TestTree tree;
  MemoryStorage storage;
  tree.device("faux", "devices/faux/reg-dummy", "DRIVER=faux_driver\n");
  tree.link_to("devices/faux/reg-dummy/driver", "bus/faux/drivers/faux_driver");
  tree.put("bus/faux/drivers/faux_driver/uevent", "");
  for (const char* release : {"7.3.4+deb13-amd64", ""}) {
    Host host(tree.sysfs());
    host.storage = &storage;
    host.boot = "boot";
    host.release = release;
    Said said;
    const auto tried = rehearse(
        host, nullptr,
        {.devices = {{.bus = BusName::literal("faux"), .name = DeviceName::literal("reg-dummy")}},
         .driver = DriverName::literal("faux_driver")},
        said);
    ASSERT_TRUE(tried) << release << tried.error().message();
    ASSERT_TRUE(tried->predicted) << tried->predicted.error().message();
    EXPECT_EQ(tried->predicted->front().after.driver, DriverName::literal("faux_driver"));
    EXPECT_EQ(said.notes.size(), std::string_view(release).empty() ? 1U : 0U);
  }
}

TEST_F(UnknownBus, AFileThatIsNotThereIsSaid) {
  tree_.link_to(kReal + "/iommu_group", "kernel/iommu_groups/3");
  tree_.link_to("kernel/iommu_groups/3/devices/dfl_dev.0", kReal);
  tree_.remove("bus/dfl/drivers/vfio_dfl/bind");
  tree_.put("bus/dfl/drivers/vfio_dfl/uevent", "");
  const auto tried = go();
  ASSERT_FALSE(tried);
  EXPECT_EQ(tried.error().why, "vfio_dfl cannot be bound by hand: it has no bind file");
}

}  // namespace
}  // namespace anybind
