#include "base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(TextTest, TrimsExactlyOneNewline) {
  EXPECT_EQ(trim_newline("a\n"), "a");
  EXPECT_EQ(trim_newline("a\n\n"), "a\n");
  EXPECT_EQ(trim_newline("a"), "a");
  EXPECT_EQ(trim_newline(""), "");
}

TEST(TextTest, ParsesHexOnlyAsAWhole) {
  EXPECT_EQ(parse_hex("8086"), 0x8086U);
  EXPECT_EQ(parse_hex("0X10d3"), 0x10d3U);
  EXPECT_EQ(parse_hex("10000", 0xFFFF), std::nullopt);
  for (const char* bad : {"", "0x", "-1", "+1", " 1", "1 ", "1g", "0x0x1"}) {
    EXPECT_EQ(parse_hex(bad), std::nullopt) << bad;
  }
}

TEST(TextTest, ParsesDecimalOnlyAsAWhole) {
  EXPECT_EQ(parse_decimal("42"), 42U);
  EXPECT_EQ(parse_decimal("18446744073709551616"), std::nullopt);
  EXPECT_EQ(parse_decimal("4x"), std::nullopt);
}

TEST(TextTest, FindsEveryByteThatIsNotPrintableAscii) {
  for (std::size_t size = 0; size <= 17; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        for (const char other : {' ', 'x', '~'}) {
          std::string text(size, other);
          text[at] = static_cast<char>(byte);
          ASSERT_EQ(is_printable_ascii(text), byte >= ' ' && byte <= '~') << size << at << byte;
        }
      }
    }
    EXPECT_TRUE(is_printable_ascii(std::string(size, 'x')));
  }
  EXPECT_TRUE(is_printable_ascii({}));
}

TEST(TextTest, PrintableShowsWhatSteersATerminal) {
  EXPECT_EQ(printable("a\x1b[31mb\n"), "a\\x1b[31mb\\x0a");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m");  // a C1 control
  EXPECT_EQ(printable("a\x7f"), "a\\x7f");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable("K\xc3\xa4se"), "K\xc3\xa4se");
}

TEST(TextTest, PrintableShowsWhatDeceivesAReader) {
  const std::vector<std::pair<std::string, std::string>> unseen = {
      {"\u202e", "\\xe2\\x80\\xae"},           // right-to-left override
      {"\u2066", "\\xe2\\x81\\xa6"},           // isolate
      {"\u061c", "\\xd8\\x9c"},                // Arabic letter mark
      {"\u200b", "\\xe2\\x80\\x8b"},           // zero width space
      {"\u00ad", "\\xc2\\xad"},                // soft hyphen
      {"\ufeff", "\\xef\\xbb\\xbf"},           // byte order mark
      {"\u2028", "\\xe2\\x80\\xa8"},           // line separator
      {"\u3164", "\\xe3\\x85\\xa4"},           // Hangul filler
      {"\ufe0f", "\\xef\\xb8\\x8f"},           // variation selector
      {"\ue000", "\\xee\\x80\\x80"},           // private use
      {"\uffff", "\\xef\\xbf\\xbf"},           // no character
      {"\U000e0041", "\\xf3\\xa0\\x81\\x81"},  // tag
      {"\U0010ffff", "\\xf4\\x8f\\xbf\\xbf"},
  };
  for (const auto& [text, shown] : unseen)
    EXPECT_EQ(printable("a" + text + "b"), "a" + shown + "b");
  for (const char* plain : {"\u00a0", "\u00e4", "\u05d0", "\u2027", "\u202f", "\u4e2d", "\ufffd",
                            "\U0001f600", "\u00ae"}) {
    EXPECT_EQ(printable(plain), plain);
  }
}

TEST(TextTest, PrintableTakesNoUtf8ThatIsNotValid) {
  EXPECT_EQ(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");  // longer than needed
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // half of a pair
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(printable("\xe2\x80"), "\\xe2\\x80");
}

TEST(TextTest, PrintableIsBounded) {
  EXPECT_EQ(printable(std::string(5000, 'x'), 8), "xxxxxxxx...");
  EXPECT_EQ(printable("xxxxxxxx", 8), "xxxxxxxx");
}

TEST(TextTest, QuotesForAShell) {
  EXPECT_EQ(shell_quote("0000:03:00.0"), "0000:03:00.0");
  EXPECT_EQ(shell_quote("i8042 kbd"), "'i8042 kbd'");
  EXPECT_EQ(shell_quote("a'b"), "'a'\\''b'");
  EXPECT_EQ(shell_quote("$(rm)"), "'$(rm)'");
  for (const char c : std::string_view("$`\\\"!*?[]{}()<>|&;#~ \t\n"))
    EXPECT_EQ(shell_quote(std::string("a") + c), std::string("'a") + c + "'");
  EXPECT_EQ(shell_quote(""), "''");
}

TEST(TextTest, FindsTheNearestWords) {
  const std::vector<std::string> drivers = {"e1000", "e1000e", "nvme", "vfio-pci", "xhci_hcd"};
  EXPECT_THAT(nearest("vfio_pci", drivers), ElementsAre("vfio-pci"));
  EXPECT_THAT(nearest("e1000f", drivers), ElementsAre("e1000", "e1000e"));
  EXPECT_THAT(nearest("something-else", drivers), IsEmpty());
}

TEST(TextTest, JoinsWords) {
  const std::vector<std::string> words = {"a", "b", "c"};
  EXPECT_EQ(join_words(words), "a, b and c");
  EXPECT_EQ(join_words(std::span(words).first(2), "or"), "a or b");
  EXPECT_EQ(join_words(std::span(words).first(1)), "a");
  EXPECT_EQ(join_words({}), "");
}

}  // namespace
}  // namespace anybind
