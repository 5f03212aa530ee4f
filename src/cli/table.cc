#include "cli/table.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace anybind::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLeast = 8;  // of a column that is cut
constexpr std::string_view kReset = "\x1b[0m";

std::string_view escape_of(Style style) {
  static constexpr std::array<std::string_view, 5> kEscapes = {"", "\x1b[1m", "\x1b[2m", "\x1b[32m",
                                                               "\x1b[33m"};
  return kEscapes[static_cast<std::size_t>(style)];
}

/// Printable ASCII: one column a byte, as nearly all text of sysfs.
bool is_plain(std::string_view text) {
  return text.size() <= 256 &&
         std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; });
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

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) width += take_char(text);
  return width;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return "";
  std::string_view rest = text;
  for (std::size_t used = 0;;) {
    std::string_view next = rest;
    used += take_char(next);
    if (used > width - 1) break;
    rest = next;
  }
  return std::string(text.substr(0, text.size() - rest.size())) + "…";
}

std::string styled(std::string_view text, Style style, bool color) {
  if (!color || style == Style::kPlain) return std::string(text);
  return std::string(escape_of(style)).append(text).append(kReset);
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (const Column& column : columns_)
    items_.push_back(item_of({.text = column.title, .style = Style::kHead}));
}

Table::Item Table::item_of(const Cell& cell) {
  std::string_view text = cell.text;
  if (is_plain(text))
    return {.text = text, .width = static_cast<std::uint32_t>(text.size()), .style = cell.style};
  text = owned_.emplace_back(printable(text));
  return {
      .text = text, .width = static_cast<std::uint32_t>(display_width(text)), .style = cell.style};
}

void Table::add(std::span<const Cell> cells) {
  for (const Cell& cell : cells) items_.push_back(item_of(cell));
}

std::vector<std::size_t> Table::widths(const Look& look) const {
  std::vector<std::size_t> out(columns_.size());
  for (std::size_t i = look.header ? 0 : columns_.size(); i < items_.size(); ++i) {
    std::size_t& width = out[i % columns_.size()];
    width = std::max<std::size_t>(width, items_[i].width);
  }
  std::size_t total = kGap * (columns_.size() - 1);
  for (const std::size_t width : out) total += width;
  for (std::size_t i = 0; i < out.size() && look.width > 0 && total > look.width; ++i) {
    if (!columns_[i].shrinks || out[i] <= kLeast) continue;
    const std::size_t less = std::min(total - look.width, out[i] - kLeast);
    out[i] -= less;
    total -= less;
  }
  return out;
}

void Table::append_line(std::string& out, std::span<const Item> row,
                        std::span<const std::size_t> widths, const Look& look) const {
  std::size_t pending = 0;  // blanks that are owed before the next text
  std::size_t used = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const Item& item = row[i];
    std::size_t room = widths[i];
    if (look.width > 0)
      room = std::min(room, look.width - std::min<std::size_t>(look.width, used + pending));
    if (item.width > 0 && room > 0) {
      out.append(pending, ' ');
      used += pending;
      const bool fits = item.width <= room;
      const std::string cut = fits ? std::string() : cut_to_width(item.text, room);
      if (look.color) out += escape_of(item.style);
      out += fits ? item.text : std::string_view(cut);
      if (look.color && item.style != Style::kPlain) out += kReset;
      used += std::min<std::size_t>(item.width, room);
      pending = widths[i] - std::min<std::size_t>(item.width, widths[i]);
    } else {
      pending += widths[i];
    }
    pending += kGap;
  }
  out += '\n';
}

std::string Table::render(const Look& look) const {
  const std::vector<std::size_t> columns = widths(look);
  std::size_t line = 1;
  for (const std::size_t width : columns) line += width + kGap;
  std::string out;
  out.reserve((line + (look.color ? 24 : 0)) * (items_.size() / columns_.size()));
  for (std::size_t at = look.header ? 0 : columns_.size(); at < items_.size();
       at += columns_.size()) {
    append_line(out, std::span(items_).subspan(at, columns_.size()), columns, look);
  }
  return out;
}

}  // namespace anybind::cli
