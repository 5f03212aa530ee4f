// pci.ids is a tree written as lines: a vendor at the margin, its devices behind one tab, their
// subsystems behind two; after the vendors the classes, "C 02  Network controller", in the same
// way. Each level is sorted by its hex digits, so a line can be found by bisecting the bytes of its
// parent's block: jump into the middle, go on to the next line of the wanted level, compare. If
// somebody's file is not sorted, names are missed, nothing else.
#include "inventory/names.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {
namespace {

constexpr std::uint64_t kClassFlag = 1ULL << 32;  // classes come behind all vendors
constexpr std::size_t kMaxName = 160;

struct Entry {
  std::uint64_t key = 0;
  std::string_view name;
  std::size_t end = 0;  ///< where the next line starts
};

std::size_t line_end(std::string_view text, std::size_t at) {
  const auto newline = text.find('\n', at);
  return newline == std::string_view::npos ? text.size() : newline + 1;
}

/// `line` without its tabs: the key and the name. "8086  Intel", "C 02  Network", "1043 8534  X".
std::optional<Entry> parse_entry(std::string_view line) {
  const bool is_class = line.starts_with("C ");
  if (is_class) line.remove_prefix(2);
  const auto gap = line.find("  ");
  const auto name = line.find_first_not_of(' ', gap);
  if (gap > 9 || name == std::string_view::npos) return std::nullopt;
  std::string_view digits = line.substr(0, gap);
  std::uint64_t key = 0;
  if (const auto space = digits.find(' '); space != std::string_view::npos) {
    key = parse_hex(digits.substr(0, space), 0xFFFF).value_or(0) << 16;
    digits.remove_prefix(space + 1);
  }
  const auto low = parse_hex(digits, 0xFFFF);
  if (!low || digits.starts_with("0x")) return std::nullopt;
  return Entry{.key = key | *low | (is_class ? kClassFlag : 0), .name = line.substr(name)};
}

/// The first line of `level` that starts at or behind `from` and before `to`. `from` may be in the
/// middle of a line; then that line does not count.
std::optional<Entry> next_entry(std::string_view text, std::size_t from, std::size_t to,
                                std::size_t level) {
  if (from > 0 && text[from - 1] != '\n') from = line_end(text, from);
  while (from < to) {
    const std::size_t end = line_end(text, from);
    std::string_view line = text.substr(from, end - from);
    const auto tabs = line.find_first_not_of('\t');
    if (tabs == level) {
      line.remove_prefix(tabs);
      while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
      if (auto entry = parse_entry(line)) {
        entry->end = end;
        return entry;
      }
    }
    from = end;
  }
  return std::nullopt;
}

std::optional<Entry> find_entry(std::string_view text, std::size_t from, std::size_t to,
                                std::size_t level, std::uint64_t key) {
  while (from < to) {
    const std::size_t middle = from + (to - from) / 2;
    const auto entry = next_entry(text, middle, to, level);
    if (entry && entry->key == key) return entry;
    if (entry && entry->key < key) {
      from = entry->end;
    } else {
      to = middle;
    }
  }
  return std::nullopt;
}

/// Where the block that starts at `from` ends: at the next line of a level above `level`.
std::size_t block_end(std::string_view text, std::size_t from, std::size_t level) {
  while (from < text.size()) {
    const auto tabs = text.substr(from, level).find_first_not_of('\t');
    if (tabs != std::string_view::npos && text[from] != '#' && text[from] != '\n') break;
    from = line_end(text, from);
  }
  return from;
}

std::string clean(std::string_view name) {
  return printable(name, kMaxName);
}

}  // namespace

PciNames::PciNames(const std::string& path) : file_(path) {}

template <class Make>
const std::string& PciNames::cached(Kind kind, std::uint64_t key, Make make) {
  const auto [at, is_new] = cache_.try_emplace({kind, key});
  if (is_new) at->second = make();
  return at->second;
}

const PciNames::Block& PciNames::vendor_block(std::uint16_t vendor) {
  const auto [at, is_new] = vendors_.try_emplace(vendor);
  if (!is_new) return at->second;
  const std::string_view text = file_.text();
  if (const auto entry = find_entry(text, 0, text.size(), 0, vendor)) {
    at->second = {.begin = entry->end, .end = block_end(text, entry->end, 1), .name = entry->name};
  }
  return at->second;
}

const std::string& PciNames::vendor(std::uint16_t vendor) {
  return cached(Kind::kVendor, vendor, [&] { return clean(vendor_block(vendor).name); });
}

const std::string& PciNames::device(std::uint16_t vendor, std::uint16_t device) {
  return cached(Kind::kDevice, std::uint64_t{vendor} << 16 | device, [&] {
    const Block& block = vendor_block(vendor);
    const auto entry = find_entry(file_.text(), block.begin, block.end, 1, device);
    return entry ? clean(entry->name) : std::string();
  });
}

const std::string& PciNames::subsystem(const PciIds& ids) {
  const std::uint64_t device = std::uint64_t{ids.vendor} << 16 | ids.device;
  const std::uint64_t board = std::uint64_t{ids.subvendor} << 16 | ids.subdevice;
  return cached(Kind::kSubsystem, device << 32 | board, [&] {
    const std::string_view text = file_.text();
    const Block& block = vendor_block(ids.vendor);
    const auto entry = find_entry(text, block.begin, block.end, 1, ids.device);
    const std::size_t end = entry ? std::min(block_end(text, entry->end, 2), block.end) : 0;
    const auto found = entry ? find_entry(text, entry->end, end, 2, board) : std::optional<Entry>();
    return found ? clean(found->name) : std::string();
  });
}

const std::string& PciNames::class_name(std::uint32_t class_code) {
  return cached(Kind::kClass, class_code >> 8, [&] {
    const std::string_view text = file_.text();
    const auto base = find_entry(text, 0, text.size(), 0, kClassFlag | class_code >> 16);
    if (!base) return std::string();
    const std::size_t end = block_end(text, base->end, 1);
    const auto sub = find_entry(text, base->end, end, 1, class_code >> 8 & 0xFF);
    return clean(sub ? sub->name : base->name);
  });
}

std::string PciNames::join(const PciIds& ids, std::string_view vendor_name) {
  if (vendor_name.empty()) return fmt::format("{:04x}:{:04x}", ids.vendor, ids.device);
  const std::string& name = device(ids.vendor, ids.device);
  if (name.empty()) return fmt::format("{} {:04x}", vendor_name, ids.device);
  return fmt::format("{} {}", vendor_name, name);
}

const std::string& PciNames::full(const PciIds& ids) {
  return cached(Kind::kFull, std::uint64_t{ids.vendor} << 16 | ids.device,
                [&] { return join(ids, vendor(ids.vendor)); });
}

const std::string& PciNames::brief(const PciIds& ids) {
  return cached(Kind::kBrief, std::uint64_t{ids.vendor} << 16 | ids.device,
                [&] { return join(ids, short_vendor(vendor(ids.vendor))); });
}

std::string_view short_vendor(std::string_view name) {
  static constexpr auto kLegal = std::to_array<std::string_view>(
      {"Corporation", "Corp.", "Corp", "Incorporated", "Inc.", "Inc", "Limited", "Ltd.", "Ltd",
       "Co.", "Co", "Company", "LLC", "GmbH", "AG", "S.A.", "B.V.", "plc"});
  if (const auto open = name.rfind('['); open != std::string_view::npos && name.ends_with(']'))
    return name.substr(open + 1, name.size() - open - 2);
  for (;;) {
    const auto last = name.rfind(' ');
    if (last == std::string_view::npos) return name;
    std::string_view word = name.substr(last + 1);
    if (word.ends_with(',')) word.remove_suffix(1);
    if (std::ranges::find(kLegal, word) == kLegal.end()) break;
    name = name.substr(0, last);
  }
  while (name.ends_with(',') || name.ends_with(' ')) name.remove_suffix(1);
  return name;
}

}  // namespace anybind
