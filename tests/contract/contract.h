#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "target.h"

namespace anybind::contract {

// The machine: two e1000e of one type, an nvme, two edu cards that nobody drives, and behind a
// conventional bridge two e1000 and one more edu, all in one IOMMU group with that bridge; behind a
// root port an nvme that can have four virtual functions. Three make devices on other buses.
inline const std::string kNicA = "0000:00:03.0";
inline const std::string kNicB = "0000:00:04.0";
inline const std::string kNvme = "0000:00:05.0";
inline const std::string kEduA = "0000:00:06.0";
inline const std::string kEduB = "0000:00:07.0";
inline const std::string kEduBehind = "0000:01:03.0";
inline const std::string kBridge = "0000:00:08.0";
inline const std::string kPf = "0000:02:00.0";
inline const std::string kVf = "0000:02:00.1";
inline const std::string kNobody = "0000:00:1e.7";

inline const std::string kUsbHost = "0000:00:0a.0";  ///< with a stick
inline const std::string kVirtioNic = "0000:00:0b.0";
inline const std::string kSata = "0000:00:1f.2";  ///< with a disk
/// Buses of what those three make.
inline const std::vector<std::string> kMadeBuses = {"scsi", "usb", "virtio"};

extern Target* target;  ///< set by main()

/// A statement about the driver core. Each starts on the same machine: drivers e1000e, e1000, nvme,
/// vfio-pci and pci-stub loaded, autoprobe on, no override, no dynamic id, the NICs and the nvme
/// bound, the rest not.
class Contract : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // One write(2): 0 when the store took it, else the errno.
  int write(const std::string& path, std::string_view bytes);
  int bus(const std::string& file, std::string_view bytes);  // bus/pci/FILE
  int drv(const std::string& driver, const std::string& file,
          std::string_view bytes);  // of a pci driver
  int dev(const std::string& device, const std::string& file,
          std::string_view bytes);  // of a pci device

  int read_error(const std::string& path);
  std::string read(const std::string& path);  // "" when it cannot be read
  std::string override_of(const std::string& device);
  // The driver of a pci device: "" for none, "absent" when the device is not there.
  std::string driver_of(const std::string& device);
  bool exists(const std::string& path);
  std::string link_of(const std::string& path);
  Instance instance_of(const std::string& device);
  std::string group_of(const std::string& device);

  void load_test_drivers();  // td0, td1, td2, which match the edu cards, with driver_data 5, 6, 7
  void make_free(const std::string& device);
  // Gives an edu card to nobody whatever happened to it.
  void reset_device(const std::string& device, const std::string& driver);

 private:
  bool test_drivers_ = false;
};

/// A statement that holds only on some kernels is registered only for those: main() asks `holds_on`
/// before RUN_ALL_TESTS, and what is not registered cannot be mistaken for passed or skipped.
using HoldsOn = bool (*)(const drivercore::KernelProfile&);
bool add_statement(HoldsOn holds_on, void (*registers)());
/// Registers the statements that hold on the target's kernel; how many do not.
int register_statements();

using drivercore::Change;
using drivercore::KernelProfile;
using drivercore::Mechanism;

template <Mechanism Wanted>
bool has(const KernelProfile& kernel) {
  return kernel.has(Wanted);
}
template <Mechanism Wanted>
bool lacks(const KernelProfile& kernel) {
  return !kernel.has(Wanted);
}
inline bool has_override(const KernelProfile& kernel) {
  return kernel.has(Mechanism::kDriverOverride);
}
inline bool reports_probe_errno(const KernelProfile& kernel) {
  return kernel.has(Change::kBindReportsProbeErrno);
}
inline bool honours_autoprobe(const KernelProfile& kernel) {
  return kernel.has(Change::kPciAddHonoursAutoprobe);
}
inline bool refuses_duplicates(const KernelProfile& kernel) {
  return kernel.has(Change::kNewIdRefusesDuplicates);
}

/// TEST_F for such a statement.
// NOLINTBEGIN(bugprone-macro-parentheses): a base class cannot stand in them.
#define STATEMENT(holds_on, suite, name)                                       \
  class suite##name : public suite {                                           \
    void TestBody() override;                                                  \
  };                                                                           \
  [[maybe_unused]] const bool k##suite##name = add_statement(holds_on, [] {    \
    testing::RegisterTest(#suite, #name, nullptr, nullptr, __FILE__, __LINE__, \
                          []() -> suite* { return new suite##name; });         \
  });                                                                          \
  void suite##name::TestBody()
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace anybind::contract
