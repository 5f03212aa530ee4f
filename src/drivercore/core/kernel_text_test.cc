// How the kernel reads numbers and names (lib/kstrtox.c, lib/vsprintf.c).
#include "drivercore/core/kernel_text.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

namespace anybind::drivercore {
namespace {

std::string number(std::string_view text) {
  const auto value = kstrtoul(text);
  return value ? std::to_string(*value) : value.error().name();
}

TEST(Kstrtoul, TakesAWholeNumberOfAnyBaseWithOneNewline) {
  EXPECT_EQ(number("1"), "1");
  EXPECT_EQ(number("1\n"), "1");
  EXPECT_EQ(number("+1"), "1");
  EXPECT_EQ(number("0x1F"), "31");
  EXPECT_EQ(number("017"), "15");
  EXPECT_EQ(number("0"), "0");
  EXPECT_EQ(number(std::string_view("1\0junk", 6)), "1");
  EXPECT_EQ(number("18446744073709551615"), "18446744073709551615");
}

TEST(Kstrtoul, RefusesAnythingElse) {
  for (const char* text : {"", "\n", "x", "-1", " 1", "1 ", "1\n\n", "0x", "0xg", "08", "1 2"}) {
    EXPECT_EQ(number(text), "EINVAL") << text;
  }
  EXPECT_EQ(number("18446744073709551616"), "ERANGE");
  EXPECT_EQ(number("0x10000000000000000"), "ERANGE");
}

TEST(Kstrtoint, HasASign) {
  EXPECT_EQ(kstrtoint("-1\n").value_or(0), -1);
  EXPECT_EQ(kstrtoint("0x10").value_or(0), 16);
  EXPECT_EQ(kstrtoint("3000000000").error().value, ERANGE);
  EXPECT_EQ(kstrtoint("--1").error().value, EINVAL);
}

TEST(Kstrtobool, LooksAtTheFirstLetters) {
  for (const char* text : {"1", "y", "Yes", "true", "on", "ON\n", "1junk"}) {
    EXPECT_TRUE(kstrtobool(text).value_or(false)) << text;
  }
  for (const char* text : {"0", "n", "No", "false", "off", "OF"}) {
    EXPECT_FALSE(kstrtobool(text).value_or(true)) << text;
  }
  for (const char* text : {"", "\n", "2", "junk", "o", "ox"}) {
    EXPECT_FALSE(kstrtobool(text)) << text;
  }
}

std::vector<std::uint64_t> fields(std::string_view text) {
  const HexFields out = scan_hex(text);
  return {out.value.begin(), out.value.begin() + static_cast<std::ptrdiff_t>(out.count)};
}

TEST(ScanHex, StopsSilentlyAtJunk) {
  using Values = std::vector<std::uint64_t>;
  EXPECT_EQ(fields("8086 10d3"), (Values{0x8086, 0x10d3}));
  EXPECT_EQ(fields("0xdead  \t0XBEEF\n"), (Values{0xdead, 0xbeef}));
  EXPECT_EQ(fields("dead beed junk"), (Values{0xdead, 0xbeed}));
  EXPECT_EQ(fields("8086 zz"), (Values{0x8086}));
  EXPECT_EQ(fields("dead:beee"), (Values{0xdead}));
  EXPECT_EQ(fields("-1 -1"), Values{});
  EXPECT_EQ(fields("\n"), Values{});
  EXPECT_EQ(fields("123456789 1"), (Values{0x23456789, 1}));
  EXPECT_EQ(fields("1 2 3 4 5 6 123456789abcdef0 8"),
            (Values{1, 2, 3, 4, 5, 6, 0x123456789abcdef0}));
  EXPECT_EQ(fields("0x 1"), (Values{0, 1})) << "a prefix without digits is a 0";
}

TEST(NameIn, IsWhatSysfsStreqCompares) {
  EXPECT_EQ(name_in("a\n"), "a");
  EXPECT_EQ(name_in("a\n\n"), "a\n");
  EXPECT_EQ(name_in(std::string_view("a\0b", 3)), "a");
  EXPECT_EQ(name_in(" a "), " a ");
}

}  // namespace
}  // namespace anybind::drivercore
