#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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
  kBad,      ///< does not work
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

/// Where the ellipsis of a cut cell stands.
enum class Cut : std::uint8_t {
  kEnd,
  kMiddle,  ///< what tells similar names apart is often their end
};

struct Column {
  std::string_view title;
  bool shrinks = false;  ///< is cut when the line is too wide
  Cut cut = Cut::kEnd;
  std::size_t least = 8;  ///< is cut below that only when nothing else helps
  bool can_go = false;    ///< is left out rather than that others are cut below their least
};

/// Writes the cells of a row into `cells`; their text lives until the next call.
using FillRow = std::function<void(std::size_t row, std::span<Cell> cells)>;
/// Takes the next piece of a text: whole lines, many at a time.
using Sink = std::function<void(std::string_view text)>;

/// Lines with aligned columns, each with its newline and without blanks at the end, never wider
/// than `look.width`. The text of cells is made printable. Asks for each row twice, once for the
/// widths and once for the text, and so keeps nothing: fresh memory is the dearest part of a
/// table of tens of thousands of rows.
void print_table(std::span<const Column> columns, std::size_t rows, const FillRow& fill,
                 const Look& look, const Sink& sink);

/// Columns that `text` takes on a terminal: East Asian wide characters two, combining ones none.
/// `text` is valid UTF-8 without control characters, as printable() makes it.
[[nodiscard]] std::size_t display_width(std::string_view text);

/// `text` cut to `width` columns, with an ellipsis where something is missing.
[[nodiscard]] std::string cut_to_width(std::string_view text, std::size_t width,
                                       Cut cut = Cut::kEnd);

/// `text` in lines of at most `width` columns, broken at blanks; 0: one line. A word that is longer
/// stands alone. Blanks at its beginning stay.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view text, std::size_t width);

/// Each line of `text` that is wider than `width` broken at blanks; what follows is indented like
/// the text of a line "  label   text", else by two more. 0: unchanged; and so is a line that is a
/// command to copy. `text` is printable and has no colours.
[[nodiscard]] std::string reflowed(std::string_view text, std::size_t width);

/// Seconds since 1970 in local time: "2026-11-30 09:15:00".
[[nodiscard]] std::string time_text(std::int64_t seconds);

/// `text` in the colours of `style`; unchanged when `color` is false.
[[nodiscard]] std::string styled(std::string_view text, Style style, bool color);

}  // namespace anybind::cli
