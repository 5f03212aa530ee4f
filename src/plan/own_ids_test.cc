#include "plan/own_ids.h"

#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

class Aliases final : public ModuleLoader {
 public:
  std::optional<ModuleFacts> find(std::string_view /*name*/) override { return std::nullopt; }
  Result<> load(const std::string& /*name*/, const std::function<bool()>& /*give_up*/) override {
    return {};
  }
  std::vector<std::string> names() override { return {}; }
  std::string_view aliases() override {
    return "alias usb:v0403p6001d*dc*dsc*dp*ic*isc*ip*in* ftdi_sio\n"
           "alias usb:v*p*d*dc*dsc*dp*ic03isc01ip01in* usbkbd\n";
  }
};

class OwnIdsTest : public testing::Test {
 protected:
  /// A driver of the usb bus, registered by a module that is loaded.
  OwnIds::Answer answer(const std::string& driver, const std::string& module,
                        const std::string& modalias) {
    tree_.remove("bus/usb/drivers/" + driver);
    tree_.put("module/" + module + "/initstate", "live\n");
    tree_.link_to("bus/usb/drivers/" + driver + "/module", "module/" + module);
    return OwnIds(tree_.sysfs(), BusName::literal("usb"), DriverName::literal(driver), &aliases_)
        .match(modalias);
  }
  TestTree tree_;
  Aliases aliases_;
  const std::string kKnown = "usb:v0403p6001d0600dc00dsc00dp00icFFiscFFipFFin00";
  const std::string kOther = "usb:v0403pABCDd0600dc00dsc00dp00icFFiscFFipFFin00";
};

TEST_F(OwnIdsTest, WhatAModuleSaysOfItsOwnDriverIsAll) {
  EXPECT_EQ(answer("usbkbd", "usbkbd", "usb:v1p2d0dc0dsc0dp0ic03isc01ip01in00"),
            OwnIds::Answer::kYes);
  EXPECT_EQ(answer("usbkbd", "usbkbd", kOther), OwnIds::Answer::kNo);
}

TEST_F(OwnIdsTest, ADriverThatAnotherModuleRegisteredMayHaveIdsThatNobodyTells) {
  EXPECT_EQ(answer("ftdi_sio", "usbserial", kKnown), OwnIds::Answer::kYes)
      << "the module of its own name knows some";
  EXPECT_EQ(answer("ftdi_sio", "usbserial", kOther), OwnIds::Answer::kUnknown);
  EXPECT_EQ(answer("pl2303", "usbserial", kOther), OwnIds::Answer::kUnknown);
}

}  // namespace
}  // namespace anybind
