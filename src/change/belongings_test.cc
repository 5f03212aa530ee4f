#include "change/belongings.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "change/patient_writer.h"
#include "host/memory_storage.h"
#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kReal = "devices/pci0000:00/0000:00:03.0";

class Warnings final : public Listener {
 public:
  void on_warning(const std::string& text) override { all.push_back(text); }
  std::vector<std::string> all;
};

class BelongingsTest : public testing::Test {
 protected:
  BelongingsTest() {
    tree_.device("pci", kReal, "");
    drive("e1000e");
  }

  void drive(const std::string& driver) {
    tree_.remove(kReal + "/driver");
    tree_.dir("bus/pci/drivers/" + driver);
    tree_.link_to(kReal + "/driver", "bus/pci/drivers/" + driver);
  }
  std::unique_ptr<Sysfs> dir() { return *open_device(tree_.sysfs(), nic_); }
  Origin look() {
    const auto held = dir();
    const Binding binding = *read_binding(*held);
    return {.instance = *held->instance(),
            .binding = binding,
            .had = *read_belongings(*held, nic_, binding)};
  }
  std::string text(const std::string& path) {
    std::stringstream out;
    out << std::ifstream(tree_.root() + "/" + kReal + "/" + path).rdbuf();
    return out.str().substr(0, out.str().find('\n'));
  }
  void set_up(const Origin& origin) {
    set_up_again(tree_.sysfs(), nic_, origin, warnings_, writer_);
  }

  TestTree tree_;
  DeviceId nic_{.bus = BusName::literal("pci"), .name = DeviceName::literal("0000:00:03.0")};
  Warnings warnings_;
  RunOptions options_;
  Host host_{tree_.sysfs()};  // no patience with interfaces
  PatientWriter writer_{host_, options_, warnings_, [](const StuckWrite& /*write*/) {}};
};

TEST_F(BelongingsTest, AreTheFunctionsAndTheInterfacesThatAreUp) {
  tree_.put(kReal + "/sriov_numvfs", "4\n");
  tree_.put(kReal + "/net/eth1/flags", "0x1003\n");
  tree_.put(kReal + "/net/eth0/flags", "0x1002\n");
  tree_.put(kReal + "/net/eth2/flags", "junk\n");
  const Origin origin = look();
  EXPECT_EQ(origin.had.functions, 4U);
  EXPECT_THAT(origin.had.up, ElementsAre("eth1"));
}

TEST_F(BelongingsTest, OfVirtioAreWithItsOwnDevice) {
  drive("virtio-pci");
  tree_.put(kReal + "/virtio3/net/eth0/flags", "0x1003\n");
  const Origin origin = look();
  EXPECT_THAT(origin.had.up, ElementsAre("eth0"));
  tree_.put(kReal + "/virtio3/net/eth0/flags", "0x1002\n");
  set_up(origin);
  EXPECT_EQ(text("virtio3/net/eth0/flags"), "0x1003");
}

TEST_F(BelongingsTest, ANumberThatIsNoneIsAnError) {
  tree_.put(kReal + "/sriov_numvfs", "many\n");
  const auto held = dir();
  EXPECT_FALSE(read_belongings(*held, nic_, *read_binding(*held)));
}

TEST_F(BelongingsTest, WhatWasUpIsSetUpAndNothingElse) {
  tree_.put(kReal + "/net/eth0/flags", "0x1003\n");
  tree_.put(kReal + "/net/eth1/flags", "0x1002\n");
  const Origin origin = look();
  tree_.put(kReal + "/net/eth0/flags", "0x1002\n");
  drive("vfio-pci");
  set_up(origin);
  EXPECT_EQ(text("net/eth0/flags"), "0x1002") << "not its driver";
  drive("e1000e");
  set_up(origin);
  EXPECT_EQ(text("net/eth0/flags"), "0x1003");
  EXPECT_EQ(text("net/eth1/flags"), "0x1002");
  EXPECT_THAT(warnings_.all, IsEmpty());
}

TEST_F(BelongingsTest, TheOnlyInterfaceMayHaveAnotherName) {
  tree_.put(kReal + "/net/lan/flags", "0x1003\n");
  const Origin origin = look();
  tree_.remove(kReal + "/net/lan");
  set_up(origin);
  EXPECT_THAT(warnings_.all, ElementsAre(HasSubstr("of what was up, lan")));
  tree_.put(kReal + "/net/eth0/flags", "0x1002\n");
  set_up(origin);
  EXPECT_EQ(text("net/eth0/flags"), "0x1003");
  EXPECT_EQ(warnings_.all.size(), 1U);
}

TEST_F(BelongingsTest, ManyFunctionsAreMadeAgainOnlyWhereThereAreNone) {
  tree_.put(kReal + "/sriov_numvfs", "4\n");
  const Origin origin = look();
  EXPECT_TRUE(is_as_it_was(tree_.sysfs(), nic_, origin));
  tree_.put(kReal + "/sriov_numvfs", "2\n");
  EXPECT_FALSE(is_as_it_was(tree_.sysfs(), nic_, origin));
  EXPECT_TRUE(make_functions_again(tree_.sysfs(), nic_, origin, warnings_, writer_));
  EXPECT_EQ(text("sriov_numvfs"), "2");
  tree_.put(kReal + "/sriov_numvfs", "0\n");
  EXPECT_TRUE(make_functions_again(tree_.sysfs(), nic_, origin, warnings_, writer_));
  EXPECT_EQ(text("sriov_numvfs").substr(0, 1), "4");
}

TEST_F(BelongingsTest, AreRememberedAndNamesThatCannotBeAreNot) {
  MemoryStorage storage;
  auto origins = *Origins::load(storage, "boot");
  const Instance instance = *dir()->instance();
  origins.remember(nic_, {.instance = instance,
                          .binding = {.driver = DriverName::literal("e1000e")},
                          .had = {.functions = 3, .up = {"eth0", "../eth1"}}});
  ASSERT_TRUE(origins.save());
  const auto again = Origins::load(storage, "boot")->find(nic_, instance);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->had, (Belongings{.functions = 3, .up = {"eth0"}}));
}

}  // namespace
}  // namespace anybind
