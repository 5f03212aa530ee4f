// What a write to an attribute means, whichever attribute it is (kernel-facts 2.1).
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

using Writes = Contract;

STATEMENT(has_override, Writes, EmptyWriteReachesNoStoreAndSucceeds) {
  EXPECT_EQ(dev(kNicA, "driver_override", "none"), 0);
  EXPECT_EQ(dev(kNicA, "driver_override", ""), 0);
  EXPECT_EQ(override_of(kNicA), "none\n");
  EXPECT_EQ(drv("e1000e", "bind", ""), 0);
}

TEST_F(Writes, NameWithOneNewlineIsTheName) {
  EXPECT_EQ(drv("e1000e", "unbind", kNicA + "\n"), 0);
  EXPECT_EQ(driver_of(kNicA), "");
}

TEST_F(Writes, NameWithTwoNewlinesIsUnknown) {
  EXPECT_EQ(drv("e1000e", "unbind", kNicA + "\n\n"), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Writes, BlanksAroundANameMakeItUnknown) {
  EXPECT_EQ(drv("e1000e", "unbind", " " + kNicA), ENODEV);
  EXPECT_EQ(drv("e1000e", "unbind", kNicA + " "), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Writes, ShortAddressIsUnknown) {
  EXPECT_EQ(drv("e1000e", "unbind", "00:03.0"), ENODEV);
  EXPECT_EQ(bus("drivers_probe", "00:03.0"), ENODEV);
}

TEST_F(Writes, UpperCaseAddressIsUnknown) {
  EXPECT_EQ(bus("drivers_probe", "0000:00:1F.0"), ENODEV);
}

TEST_F(Writes, TwoNamesInOneWriteAreUnknown) {
  EXPECT_EQ(drv("e1000e", "unbind", kNicA + "\n" + kNicB), ENODEV);
  EXPECT_EQ(drv("e1000e", "unbind", kNicA + " " + kNicB), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
  EXPECT_EQ(driver_of(kNicB), "e1000e");
}

TEST_F(Writes, NulEndsTheName) {
  EXPECT_EQ(drv("e1000e", "unbind", kNicA + std::string("\0junk", 5)), 0);
  EXPECT_EQ(driver_of(kNicA), "");
}

TEST_F(Writes, WriteOnlyAttributesCannotBeRead) {
  EXPECT_EQ(read_error("bus/pci/drivers_probe"), EACCES);
  EXPECT_EQ(read_error("bus/pci/drivers/e1000e/bind"), EACCES);
  EXPECT_EQ(read_error("bus/pci/drivers/e1000e/unbind"), EACCES);
  EXPECT_EQ(read_error("bus/pci/drivers/e1000e/new_id"), EACCES);
}

TEST_F(Writes, ReadOnlyAttributesCannotBeWritten) {
  EXPECT_EQ(dev(kNicA, "modalias", "x"), EACCES);
  EXPECT_EQ(dev(kNicA, "vendor", "x"), EACCES);
}

TEST_F(Writes, MissingFilesAreNotMade) {
  EXPECT_EQ(drv("e1000e", "vfio_bind", kNicA), ENOENT);
  EXPECT_EQ(dev(kNicA, "no_such_file", "vfio-pci"), ENOENT);
  EXPECT_EQ(drv("nosuch", "bind", kNicA), ENOENT);
}

TEST_F(Writes, ADirectoryIsNoAttribute) {
  EXPECT_EQ(read_error("bus/pci/devices"), EISDIR);
}

}  // namespace
}  // namespace anybind::contract
