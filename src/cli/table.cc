#include "cli/table.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <vector>

#include "base/text.h"

namespace anybind::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLongestCell = 256;  // of a cell
constexpr std::size_t kLeast = 8;          // of a column that is cut
constexpr std::string_view kReset = "\x1b[0m";

std::string_view escape_of(Style style) {
  static constexpr std::array<std::string_view, 6> kEscapes = {"",         "\x1b[1m",  "\x1b[2m",
                                                               "\x1b[32m", "\x1b[33m", "\x1b[31m"};
  static_assert(kEscapes.size() == static_cast<std::size_t>(Style::kBad) + 1);
  return kEscapes[static_cast<std::size_t>(style)];
}

struct Range {
  char32_t first;
  char32_t last;
};

constexpr auto kWide = std::to_array<Range>({{0x1100, 0x115F},
                                             {0x2E80, 0x303E},
                                             {0x3041, 0xA4CF},
                                             {0xAC00, 0xD7A3},
                                             {0xF900, 0xFAFF},
                                             {0xFE30, 0xFE6F},
                                             {0xFF00, 0xFF60},
                                             {0xFFE0, 0xFFE6},
                                             {0x1F300, 0x1F64F},
                                             {0x1F900, 0x1F9FF},
                                             {0x20000, 0x3FFFD}});
constexpr auto kCombining = std::to_array<Range>({{0x0300, 0x036F},
                                                  {0x200B, 0x200F},
                                                  {0x20D0, 0x20FF},
                                                  {0xFE00, 0xFE0F},
                                                  {0xFE20, 0xFE2F},
                                                  {0xFEFF, 0xFEFF}});

bool is_in(std::span<const Range> ranges, char32_t code) {
  return std::ranges::any_of(ranges,
                             [&](const Range& r) { return code >= r.first && code <= r.last; });
}

/// Takes one character of valid UTF-8 off `text`; returns its columns.
std::size_t take_char(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < std::min(length, text.size()); ++i)
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
  text.remove_prefix(std::min(length, text.size()));
  if (is_in(kCombining, code)) return 0;
  return is_in(kWide, code) ? 2 : 1;
}

/// Text of a cell as it is printed, and the columns that it takes.
struct Shown {
  std::string_view text;
  std::size_t width;
};

/// `made` keeps the text where it had to be changed.
Shown shown(std::string_view text, std::string& made) {
  if (is_printable_ascii(text) && text.size() <= kLongestCell)
    return {.text = text, .width = text.size()};
  made = printable(text, kLongestCell);
  return {.text = made, .width = display_width(made)};
}

/// One table on its way out: first all rows are measured, then printed.
class Printer {
 public:
  Printer(std::span<const Column> columns, const Look& look)
      : columns_(columns), look_(look), widths_(columns.size()), gone_(columns.size()) {}

  void measure(std::span<const Cell> cells) {
    for (std::size_t i = 0; i < cells.size(); ++i)
      widths_[i] = std::max(widths_[i], shown(cells[i].text, made_).width);
  }

  /// Makes the columns fit the terminal: some are cut a little, then some are left out, then some
  /// are cut more.
  void shrink() {
    if (look_.width == 0) return;
    cut_columns([](const Column& column) { return column.least; });
    for (std::size_t i = 0; i < widths_.size() && total() > look_.width; ++i) {
      if (columns_[i].can_go) gone_[i] = true;
    }
    cut_columns([](const Column& /*column*/) { return kLeast; });
  }

  void print(std::span<const Cell> cells, const Sink& sink) {
    std::size_t at = 0;     // where the next cell begins
    std::size_t ended = 0;  // where the last text ended
    for (std::size_t i = 0; i < cells.size(); at += step(i++)) {
      if (gone_[i] || cells[i].text.empty() || (look_.width > 0 && at >= look_.width)) continue;
      out_.append(at - ended, ' ');
      ended = at + print_cell(cells[i],
                              look_.width > 0 ? std::min<std::size_t>(widths_[i], look_.width - at)
                                              : widths_[i],
                              columns_[i].cut);
    }
    out_ += '\n';
    if (out_.size() >= kBlock) flush(sink);
  }

  void flush(const Sink& sink) {
    if (!out_.empty()) sink(out_);
    out_.clear();
  }

 private:
  static constexpr std::size_t kBlock = std::size_t{64} * 1024;

  /// The columns that a cell takes with the gap behind it.
  [[nodiscard]] std::size_t step(std::size_t i) const { return gone_[i] ? 0 : widths_[i] + kGap; }

  [[nodiscard]] std::size_t total() const {
    std::size_t out = 0;
    for (std::size_t i = 0; i < widths_.size(); ++i) out += step(i);
    return out - std::min(out, kGap);
  }

  template <class Least>
  void cut_columns(Least least_of) {
    for (std::size_t i = 0; i < widths_.size(); ++i) {
      const std::size_t now = total();
      const std::size_t least = least_of(columns_[i]);
      if (now <= look_.width || !columns_[i].shrinks || gone_[i] || widths_[i] <= least) continue;
      widths_[i] -= std::min(now - look_.width, widths_[i] - least);
    }
  }

  /// Returns the columns that it took.
  std::size_t print_cell(const Cell& cell, std::size_t room, Cut cut) {
    auto [text, width] = shown(cell.text, made_);
    if (width > room) {
      made_ = cut_to_width(text, room, cut);
      text = made_;
      width = display_width(text);
    }
    if (look_.color) out_ += escape_of(cell.style);
    out_ += text;
    if (look_.color && cell.style != Style::kPlain) out_ += kReset;
    return width;
  }

  std::span<const Column> columns_;
  Look look_;
  std::vector<std::size_t> widths_;
  std::vector<bool> gone_;
  std::string made_;
  std::string out_;
};

constexpr std::size_t kLongestLabel = 24;  // of a line "  label   text", with what is before it
constexpr std::size_t kLeastWrapped = 24;  // columns of text; where there are fewer, no wrapping

bool is_command(std::string_view text) {
  return text.starts_with("anybind ") || text.starts_with("sudo ");
}

/// One line, which begins with `indent` blanks, as several.
std::string broken(std::string_view line, std::size_t indent, std::size_t width) {
  std::size_t begin = indent;  // of the text
  if (const auto gap = line.find("  ", indent); gap < kLongestLabel)
    begin = std::min(line.find_first_not_of(' ', gap), line.size());
  const std::size_t hang = begin == indent ? indent + 2 : begin;
  if (width < hang + kLeastWrapped) return std::string(line);
  std::string out(line.substr(0, begin));
  // The first line of a text without a label has two columns more, which are not worth a rule.
  for (const std::string& part : wrapped(line.substr(begin), width - hang)) {
    if (out.size() > begin) out.append("\n").append(hang, ' ');
    out += part;
  }
  return out;
}

/// As much of `text` as fits in `width` columns.
std::string_view beginning_of(std::string_view text, std::size_t width) {
  std::string_view rest = text;
  for (std::size_t used = 0; !rest.empty();) {
    std::string_view next = rest;
    used += take_char(next);
    if (used > width) break;
    rest = next;
  }
  return text.substr(0, text.size() - rest.size());
}

std::string_view end_of(std::string_view text, std::size_t width) {
  while (display_width(text) > width) take_char(text);
  return text;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) width += take_char(text);
  return width;
}

std::string cut_to_width(std::string_view text, std::size_t width, Cut cut) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return "";
  const std::size_t behind = cut == Cut::kEnd ? 0 : (width - 1) * 2 / 5;
  return std::string(beginning_of(text, width - 1 - behind)) + "…" +
         std::string(end_of(text, behind));
}

std::string styled(std::string_view text, Style style, bool color) {
  if (!color || style == Style::kPlain) return std::string(text);
  return std::string(escape_of(style)).append(text).append(kReset);
}

void print_table(std::span<const Column> columns, std::size_t rows, const FillRow& fill,
                 const Look& look, const Sink& sink) {
  std::vector<Cell> row(columns.size());
  Printer printer(columns, look);
  const auto each_row = [&](auto use) {
    for (std::size_t i = 0; i < columns.size(); ++i) row[i] = {columns[i].title, Style::kHead};
    if (look.header) use(row);
    for (std::size_t i = 0; i < rows; ++i) {
      fill(i, row);
      use(row);
    }
  };
  each_row([&](std::span<const Cell> cells) { printer.measure(cells); });
  printer.shrink();
  each_row([&](std::span<const Cell> cells) { printer.print(cells, sink); });
  printer.flush(sink);
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  const std::size_t indent = std::min(text.find_first_not_of(' '), text.size());
  std::vector<std::string> out = {std::string(text.substr(0, indent))};
  bool is_new = true;
  for (std::string_view rest = text.substr(indent); !rest.empty(); is_new = false) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    std::string& line = out.back();
    if (!is_new && width != 0 && display_width(line) + 1 + display_width(word) > width) {
      out.emplace_back(word);
    } else {
      line.append(is_new ? "" : " ").append(word);
    }
  }
  return out;
}

std::string reflowed(std::string_view text, std::size_t width) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const bool ends = line.size() < text.size();
    text.remove_prefix(line.size() + (ends ? 1 : 0));
    const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
    if (width == 0 || display_width(line) <= width || is_command(line.substr(indent))) {
      out += line;
    } else {
      out += broken(line, indent, width);
    }
    if (ends) out += '\n';
  }
  return out;
}

std::string time_text(std::int64_t seconds) {
  std::tm local{};
  const std::time_t time = seconds;
  if (::localtime_r(&time, &local) == nullptr) return "?";
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  return {text.data(), length};
}

}  // namespace anybind::cli
