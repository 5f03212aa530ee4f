#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "host/sysfs.h"
#include "inventory/card.h"
#include "inventory/device.h"
#include "policy/rule.h"

namespace anybind {

/// What the firmware and the bus say of all devices, each read once.
class MachineFacts {
 public:
  explicit MachineFacts(Sysfs& root) : root_(&root) {}

  /// The physical slot of a PCI function, by the firmware's name; empty: it is in none.
  [[nodiscard]] std::string slot_of(const DeviceId& device);
  /// Which number `device` has among the virtual functions of `pf`; nullopt: it is none of them.
  [[nodiscard]] std::optional<unsigned> number_of(const DeviceId& pf, const DeviceId& device);
  /// `device` stands where a virtual function of `pf` would, and is none yet, or never. The kernel
  /// tells of a function before it links it (drivers/pci/iov.c: pci_iov_add_virtfn).
  [[nodiscard]] bool may_become_function(const DeviceId& pf, const DeviceId& device);

 private:
  Sysfs* root_;
  std::optional<std::map<std::string, std::string>> slots_{};
  std::map<DeviceId, std::map<std::string, unsigned>> functions_{};
};

/// One device as it was looked at. What only some rules ask for is read when the first one asks,
/// from the same card or not at all.
class SeenDevice {
 public:
  /// nullopt: it is not there (any more). Errors are those of a machine that does not let itself be
  /// read.
  [[nodiscard]] static Result<std::optional<SeenDevice>> look(Sysfs& root, const DeviceId& id);

  [[nodiscard]] const Device& device() const { return device_; }
  [[nodiscard]] const DeviceId& id() const { return device_.id; }
  [[nodiscard]] const Instance& instance() const { return instance_; }

  // Reads on first use.
  [[nodiscard]] const std::string& syspath();  ///< "/sys/devices/..."
  [[nodiscard]] const Reply<std::optional<std::string>>& serial();
  [[nodiscard]] const std::vector<std::string>& macs();

 private:
  SeenDevice(Sysfs& root, Device device, Instance instance)
      : root_(&root), device_(std::move(device)), instance_(instance) {}
  /// Its directory, if it is still this card's.
  [[nodiscard]] std::unique_ptr<Sysfs> open() const;

  Sysfs* root_;
  Device device_;
  Instance instance_;
  std::optional<std::string> syspath_{};
  std::optional<Reply<std::optional<std::string>>> serial_{};
  std::optional<std::vector<std::string>> macs_{};
};

/// What a rule's match says of a device.
struct Answer {
  enum class Meets : std::uint8_t {
    kNo,
    kYes,
    kOtherCard,  ///< it stands where the rule says, and is another card than the rule says
    kElsewhere,  ///< it may be the card of the rule, and stands elsewhere
    kUnknown,    ///< what the rule asks for cannot be read
  };
  Meets meets = Meets::kNo;
  std::string why{};  ///< in words, of kOtherCard and kUnknown
};

[[nodiscard]] Answer ask(const RuleMatch& match, SeenDevice& seen, MachineFacts& facts);

/// Which rule counts for a device: the first whose answer is neither kNo nor kElsewhere.
struct Counting {
  std::optional<std::size_t> rule{};     ///< nullopt: none does
  Answer answer{};                       ///< of that rule
  std::vector<std::size_t> elsewhere{};  ///< rules before it whose card this may be
};
[[nodiscard]] Counting counting_rule(const std::vector<Rule>& rules, SeenDevice& seen,
                                     MachineFacts& facts);

/// Whatever `narrower` matches, `wider` does too, as far as that can be told from the conditions.
[[nodiscard]] bool covers(const RuleMatch& wider, const RuleMatch& narrower);

}  // namespace anybind
