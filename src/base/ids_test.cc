#include "base/ids.h"

#include <gtest/gtest.h>

namespace anybind {
namespace {

std::string canonical(std::string_view text) {
  const auto address = PciAddress::parse(text);
  return address ? address->str() : "";
}

TEST(PciAddressTest, AcceptsWhatPeopleType) {
  EXPECT_EQ(canonical("0000:03:00.0"), "0000:03:00.0");
  EXPECT_EQ(canonical("03:00.0"), "0000:03:00.0");
  EXPECT_EQ(canonical("3:0.0"), "0000:03:00.0");
  EXPECT_EQ(canonical("03:00"), "0000:03:00");
  EXPECT_EQ(canonical("0000:AF:1E.7"), "0000:af:1e.7");
  EXPECT_EQ(canonical("10000:01:00.0"), "10000:01:00.0");
  EXPECT_EQ(canonical("pci_0000_03_00_0"), "0000:03:00.0");
}

TEST(PciAddressTest, RefusesWhatIsNoAddress) {
  for (const char* text :
       {"", "0300", "3", "000:03:00.0", "0000:03:20.0", "0000:03:00.8", "0000:103:00.0",
        "0000:03:00.", "0000:03:00.0 ", "0000:03:00.00", "g0:00.0", ":03:00.0", "1:2:3:4",
        "123456789:00:00.0", "pci_0000_03_00", "pci_0000_03_00_0_0", "0000:-3:00.0"}) {
    EXPECT_EQ(canonical(text), "") << text;
  }
}

TEST(NameTest, IsOneComponentOfAPath) {
  EXPECT_TRUE(DeviceName::parse("PNP0103:00"));
  EXPECT_TRUE(DriverName::parse("i8042 kbd"));
  const std::string long_name(256, 'x');
  for (const std::string& bad :
       {std::string("."), std::string(".."), std::string("a/b"), std::string(""),
        std::string("a\nb"), std::string("a\0b", 3), long_name}) {
    EXPECT_FALSE(DriverName::parse(bad)) << bad;
  }
  EXPECT_EQ(DriverName::parse("a/b").error().kind, ErrorKind::kUsage);
}

TEST(DeviceIdTest, IsWrittenAsItIsTyped) {
  const DeviceId gpu{.bus = BusName::literal("pci"), .name = DeviceName::literal("0000:03:00.0")};
  const DeviceId uart{.bus = BusName::literal("platform"),
                      .name = DeviceName::literal("serial8250")};
  EXPECT_EQ(gpu.str(), "0000:03:00.0");
  EXPECT_EQ(uart.str(), "platform/serial8250");
  EXPECT_EQ(uart.path(), "bus/platform/devices/serial8250");
}

TEST(ErrorTest, SaysWhatOnWhichObjectAndWhy) {
  const Error error{.kind = ErrorKind::kFailed,
                    .err = {16},
                    .operation = "bind",
                    .object = "0000:03:00.0",
                    .why = "another driver took it"};
  EXPECT_EQ(error.message(), "bind 0000:03:00.0: another driver took it (EBUSY)");
  EXPECT_EQ((Error{.err = {2}, .operation = "read", .object = "x"}).message(),
            "read x: No such file or directory (ENOENT)");
  EXPECT_EQ((Error{.err = {512}, .object = "\x1b"}).message(), "\\x1b: errno 512 (errno 512)");
}

TEST(ErrorTest, RightsAreAKindOfTheirOwn) {
  EXPECT_EQ(from_errno({13}, "write", "x").kind, ErrorKind::kNotPermitted);
  EXPECT_EQ(from_errno({30}, "write", "x").kind, ErrorKind::kNotPermitted);
  EXPECT_EQ(from_errno({19}, "write", "x").kind, ErrorKind::kFailed);
}

}  // namespace
}  // namespace anybind
