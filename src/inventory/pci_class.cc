#include "inventory/pci_class.h"

#include <algorithm>
#include <array>

namespace anybind {
namespace {

struct Row {
  std::uint32_t code;
  std::string_view word;
};

constexpr auto kBases = std::to_array<Row>({{0x01, "storage"},
                                            {0x02, "network"},
                                            {0x03, "display"},
                                            {0x04, "multimedia"},
                                            {0x05, "memory"},
                                            {0x06, "bridge"},
                                            {0x07, "communication"},
                                            {0x08, "system"},
                                            {0x09, "input"},
                                            {0x0A, "docking"},
                                            {0x0B, "processor"},
                                            {0x0C, "serial"},
                                            {0x0D, "wireless"},
                                            {0x10, "encryption"},
                                            {0x11, "signal"},
                                            {0x12, "accelerator"}});

// Base class and sub-class; sorted.
constexpr auto kClasses =
    std::to_array<Row>({{0x0100, "scsi"},       {0x0101, "ide"},         {0x0104, "raid"},
                        {0x0105, "ata"},        {0x0106, "sata"},        {0x0107, "sas"},
                        {0x0108, "nvme"},       {0x0200, "ethernet"},    {0x0207, "infiniband"},
                        {0x0300, "vga"},        {0x0302, "3d"},          {0x0400, "video"},
                        {0x0401, "audio"},      {0x0403, "audio"},       {0x0500, "ram"},
                        {0x0502, "cxl"},        {0x0600, "host bridge"}, {0x0601, "isa bridge"},
                        {0x0604, "pci bridge"}, {0x0700, "serial port"}, {0x0801, "dma"},
                        {0x0805, "sd host"},    {0x0806, "iommu"},       {0x0C00, "firewire"},
                        {0x0C03, "usb"},        {0x0C04, "fibre chan"},  {0x0C05, "smbus"},
                        {0x0D11, "bluetooth"}});

static_assert(std::ranges::is_sorted(kClasses, {}, &Row::code));

}  // namespace

std::string_view class_word(std::uint32_t class_code) {
  const auto* exact = std::ranges::lower_bound(kClasses, class_code >> 8, {}, &Row::code);
  if (exact != kClasses.end() && exact->code == class_code >> 8) return exact->word;
  const auto* base = std::ranges::find(kBases, class_code >> 16, &Row::code);
  return base == kBases.end() ? "other" : base->word;
}

std::optional<std::uint32_t> base_class(std::string_view word) {
  const auto* row = std::ranges::find(kBases, word, &Row::word);
  return row == kBases.end() ? std::nullopt : std::optional(row->code);
}

std::optional<std::string_view> find_class_word(std::string_view word) {
  const auto* found = std::ranges::find(kClasses, word, &Row::word);
  return found == kClasses.end() ? std::nullopt : std::optional(found->word);
}

std::vector<std::string> base_class_words() {
  std::vector<std::string> out;
  out.reserve(kBases.size());
  for (const Row& row : kBases) out.emplace_back(row.word);
  return out;
}

}  // namespace anybind
