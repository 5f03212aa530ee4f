#pragma once

#include <cstddef>
#include <string_view>

// How a PCI configuration space is read, by the names of linux include/uapi/linux/pci_regs.h.
namespace anybind {

/// The bytes as numbers; what is beyond the end reads as 0.
class ConfigSpace {
 public:
  static constexpr std::size_t kCapabilities = 0x34;
  static constexpr std::size_t kExtended = 0x100;  ///< where the part begins that only root sees

  explicit ConfigSpace(std::string_view text) : text_(text) {}
  [[nodiscard]] unsigned byte(std::size_t at) const {
    return at < text_.size() ? static_cast<unsigned char>(text_[at]) : 0;
  }
  [[nodiscard]] unsigned word(std::size_t at) const { return byte(at) | byte(at + 1) << 8; }
  [[nodiscard]] unsigned dword(std::size_t at) const { return word(at) | word(at + 2) << 16; }
  [[nodiscard]] std::size_t size() const { return text_.size(); }

  /// Where the capability `id` begins; 0: there is none.
  [[nodiscard]] std::size_t find_capability(unsigned id) const {
    std::size_t at = byte(kCapabilities) & 0xFCU;
    for (int i = 0; i < kMostCapabilities && at >= 0x40; ++i) {
      if (byte(at) == id) return at;
      at = byte(at + 1) & 0xFCU;
    }
    return 0;
  }
  [[nodiscard]] std::size_t find_extended(unsigned id) const {
    std::size_t at = kExtended;
    for (int i = 0; i < kMostCapabilities && at >= kExtended; ++i) {
      const unsigned header = dword(at);
      if ((header & 0xFFFFU) == id) return at;
      at = (header >> 20) & 0xFFCU;
    }
    return 0;
  }

 private:
  static constexpr int kMostCapabilities = 64;  ///< a loop of them must end
  std::string_view text_;
};

}  // namespace anybind
