#include "cli/table.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace anybind::cli {
namespace {

std::string table(const std::vector<std::array<std::string, 3>>& rows, const Look& look) {
  static constexpr auto kColumns = std::to_array<Column>(
      {{.title = "ID"}, {.title = "NAME", .shrinks = true}, {.title = "DRIVER"}});
  std::string out;
  const auto fill = [&](std::size_t row, std::span<Cell> cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = {.text = rows[row].at(i)};
    cells[2].style = Style::kGood;
  };
  print_table(kColumns, rows.size(), fill, look, [&](std::string_view text) { out += text; });
  return out;
}

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  EXPECT_EQ(table({{"1", "a", "igb"}, {"22", "long name", "-"}}, {}),
            "ID  NAME       DRIVER\n"
            "1   a          igb\n"
            "22  long name  -\n");
  EXPECT_EQ(table({{"1", "a", ""}}, {.header = false}), "1  a\n");
  EXPECT_EQ(table({}, {}), "ID  NAME  DRIVER\n");
}

TEST(TableTest, WhatMayBeCutIsCutToTheWidthAndNotToNothing) {
  const std::vector<std::array<std::string, 3>> rows = {{"1", "a very long name", "igb"}};
  EXPECT_EQ(table(rows, {.width = 25, .header = false}), "1  a very long name  igb\n");
  EXPECT_EQ(table(rows, {.width = 20, .header = false}), "1  a very long…  igb\n");
  EXPECT_EQ(table(rows, {.width = 15, .header = false}), "1  a very …  i…\n");
  EXPECT_EQ(table(rows, {.width = 12, .header = false}), "1  a very …\n");
}

TEST(TableTest, AColumnThatCanGoDoesBeforeOthersAreCutBelowTheirLeast) {
  static constexpr Column kMixed[] = {{.title = "A", .shrinks = true, .least = 12},
                                      {.title = "B", .can_go = true}};
  const auto printed = [](unsigned width) {
    std::string out;
    print_table(
        kMixed, 1,
        [](std::size_t /*row*/, std::span<Cell> cells) {
          cells[0] = {.text = "a very long name"};
          cells[1] = {.text = "13"};
        },
        {.width = width, .header = false}, [&](std::string_view text) { out += text; });
    return out;
  };
  EXPECT_EQ(printed(20), "a very long name  13\n");
  EXPECT_EQ(printed(16), "a very long…  13\n");
  EXPECT_EQ(printed(15), "a very long…\n");
  EXPECT_EQ(printed(9), "a very l…\n");
}

TEST(TableTest, WideCharactersTakeTwoColumnsAndCombiningOnesNone) {
  EXPECT_EQ(display_width("日本"), 4U);
  EXPECT_EQ(display_width("e\u0301"), 1U);
  EXPECT_EQ(cut_to_width("日本語", 4), "日…");
  EXPECT_EQ(cut_to_width("abc", 3), "abc");
  EXPECT_EQ(cut_to_width("abcd", 3), "ab…");
  EXPECT_EQ(cut_to_width("abcd", 0), "");
  EXPECT_EQ(cut_to_width("Root Port #1", 8, Cut::kMiddle), "Root …#1");
}

TEST(TableTest, ColoursEndWithTheirCellAndTextCannotMakeAny) {
  EXPECT_EQ(table({{"1", "\x1b[31mred", "igb"}}, {.color = true, .header = false}),
            "1  \\x1b[31mred  \x1b[32migb\x1b[0m\n");
  EXPECT_EQ(table({{"1", "\x1b[31mred", "igb"}}, {.header = false}), "1  \\x1b[31mred  igb\n");
}

TEST(Wrapping, BreaksAtBlanksAndNeverWithinAWord) {
  EXPECT_EQ(wrapped("one two three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrapped("one two three", 0), std::vector<std::string>{"one two three"});
  EXPECT_EQ(wrapped("a_word_too_long b", 5), (std::vector<std::string>{"a_word_too_long", "b"}));
  EXPECT_EQ(wrapped("", 5), std::vector<std::string>{""});
}

TEST(Wrapping, WhatFollowsStandsBelowTheText) {
  const std::string text =
      "anybind: the device is in use by somebody\n  label     its text goes on and on\nshort\n";
  EXPECT_EQ(reflowed(text, 36),
            "anybind: the device is in use by\n  somebody\n"
            "  label     its text goes on and on\nshort\n");
  EXPECT_EQ(reflowed("  label  its text goes on and on\n", 33),
            "  label  its text goes on and on\n");
  EXPECT_EQ(reflowed("  label  some more words than fit here", 33),
            "  label  some more words than fit\n         here");
}

TEST(Wrapping, ACommandIsLeftWhole) {
  const std::string command = "    anybind bind --group 0000:03:00.0 vfio-pci\n";
  EXPECT_EQ(reflowed(command, 30), command);
}

TEST(Wrapping, WhereThereIsNoRoomNothingIsBroken) {
  const std::string text = "  a label     some words that do not fit";
  EXPECT_EQ(reflowed(text, 20), text);
  EXPECT_EQ(reflowed(text, 0), text);
}

}  // namespace
}  // namespace anybind::cli
