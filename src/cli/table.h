#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace anybind::cli {

/// How a cell looks where colours are allowed.
enum class Style : std::uint8_t {
  kPlain,
  kHead,     ///< a column's title, the first line about a device
  kDim,      ///< of little interest: nothing there
  kGood,     ///< at work
  kNotable,  ///< not as the machine would have it by itself
};

struct Cell {
  std::string_view text;
  Style style = Style::kPlain;
};

/// What the place that a text goes to can do.
struct Look {
  bool color = false;
  unsigned width = 0;  ///< columns; 0: as wide as it needs
  bool header = true;
};

/// Lines with aligned columns. Makes the text of all cells printable. Built for tens of thousands
/// of rows: cells are views, which must outlive the table.
class Table {
 public:
  struct Column {
    std::string_view title;
    bool shrinks = false;  ///< is cut when the line is too wide
  };

  explicit Table(std::vector<Column> columns);

  /// One row; as many cells as there are columns.
  void add(std::span<const Cell> cells);

  /// All lines, each with its newline, without blanks at the end. A line is never wider than
  /// `look.width` columns of a terminal.
  [[nodiscard]] std::string render(const Look& look) const;

 private:
  struct Item {
    std::string_view text;
    std::uint32_t width;
    Style style;
  };

  Item item_of(const Cell& cell);
  [[nodiscard]] std::vector<std::size_t> widths(const Look& look) const;
  void append_line(std::string& out, std::span<const Item> row, std::span<const std::size_t> widths,
                   const Look& look) const;

  std::vector<Column> columns_;
  std::vector<Item> items_;  ///< row after row, the titles first
  std::deque<std::string> owned_;
};

/// Columns that `text` takes on a terminal: East Asian wide characters two, combining ones none.
/// `text` is valid UTF-8 without control characters, as printable() makes it.
[[nodiscard]] std::size_t display_width(std::string_view text);

/// `text` cut to `width` columns, with an ellipsis where something is missing.
[[nodiscard]] std::string cut_to_width(std::string_view text, std::size_t width);

/// `text` in the colours of `style`; unchanged when `color` is false.
[[nodiscard]] std::string styled(std::string_view text, Style style, bool color);

}  // namespace anybind::cli
