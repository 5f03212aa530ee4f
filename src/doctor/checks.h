#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "doctor/finding.h"
#include "host/host.h"
#include "inventory/boot_parameters.h"
#include "inventory/device.h"
#include "inventory/iommu_state.h"
#include "inventory/modprobe_config.h"

// What the files of doctor share; for nobody else.
namespace anybind::doctor {

/// What more than one check looks at, read once.
struct Observed {
  const Host& host;
  const KnownChanges& changes;
  std::vector<Device> pci;
  const BootParameters& boot;
  IommuState iommu;
  std::vector<ConfigLine> modprobe;
  std::vector<std::string> groups;  ///< numbers of those that an IOMMU made, sorted
};

/// Collects the findings of one check.
class Report {
 public:
  explicit Report(std::vector<Finding>& out) : out_(out) {}
  void begin(std::string_view check) {
    check_ = check;
    lines_ = 0;
  }
  void ok(std::string what) { add(Verdict::kOk, std::move(what), ""); }
  void unknown(std::string what, Remark fix) {
    add(Verdict::kUnknown, std::move(what), std::move(fix));
  }
  void warning(std::string what, Remark fix) {
    add(Verdict::kWarning, std::move(what), std::move(fix));
  }
  void problem(std::string what, Remark fix) {
    add(Verdict::kProblem, std::move(what), std::move(fix));
  }
  [[nodiscard]] bool empty() const { return lines_ == 0; }

 private:
  static constexpr std::size_t kMostLines = 8;  // of one check
  static constexpr std::string_view kMore = "; and others like it";
  void add(Verdict verdict, std::string what, Remark fix);

  std::vector<Finding>& out_;
  std::string_view check_;
  std::size_t lines_ = 0;
};

/// One line of an attribute; nullopt when it cannot be read.
[[nodiscard]] std::optional<std::string> value_of(const Host& host, const std::string& path);
/// Sorted; empty when there is no such directory.
[[nodiscard]] std::vector<std::string> names_in(const Host& host, const std::string& path);
/// The same of the root directory's files.
[[nodiscard]] std::vector<std::string> files_in(const Host& host, const std::string& path);
/// "vfio_pci" of "vfio-pci": the kernel reads both alike.
[[nodiscard]] std::string module_name(std::string_view text);
/// The last value of a kernel parameter, "on" of intel_iommu=on; "" of one without "=".
[[nodiscard]] std::optional<std::string> parameter(const Observed& seen, std::string_view name);
/// "add intel_iommu=on to GRUB_CMDLINE_LINUX in /etc/default/grub, ..."
[[nodiscard]] std::string how_to_add(const Observed& seen, const std::string& parameter);
[[nodiscard]] std::string how_to_remove(const Observed& seen, const std::string& parameter);
/// "1 group", "2 groups".
[[nodiscard]] std::string counted(std::size_t count, std::string_view word);
/// The first few of a list of names, and how many more there are.
[[nodiscard]] std::string some_of(const std::vector<std::string>& names);

enum class ModuleState : std::uint8_t { kLoaded, kBuiltIn, kAvailable, kMissing, kUnknown };
/// `file` is its name in the tree of modules, "vfio-pci.ko".
[[nodiscard]] ModuleState module_state(const Host& host, std::string_view file);

// The checks.
void check_iommu(const Observed& seen, Report& out);
void check_interrupts(const Observed& seen, Report& out);
void check_no_iommu(const Observed& seen, Report& out);
void check_groups(const Observed& seen, Report& out);
void check_reserved(const Observed& seen, Report& out);
void check_viability(const Observed& seen, Report& out);
void check_command_line(const Observed& seen, Report& out);
void check_vfio_pci(const Observed& seen, Report& out);
void check_vfio_iommu(const Observed& seen, Report& out);
void check_modprobe(const Observed& seen, Report& out);
void check_lockdown(const Observed& seen, Report& out);
void check_root(const Observed& seen, Report& out);
void check_memlock(const Observed& seen, Report& out);
void check_nodes(const Observed& seen, Report& out);
void check_rules(const Observed& seen, Report& out);
void check_driverctl(const Observed& seen, Report& out);
void check_udev(const Observed& seen, Report& out);
void check_libvirt(const Observed& seen, Report& out);
void check_changes(const Observed& seen, Report& out);
void check_autoprobe(const Observed& seen, Report& out);
void check_driverless(const Observed& seen, Report& out);
void check_overrides(const Observed& seen, Report& out);
void check_sriov(const Observed& seen, Report& out);
void check_display(const Observed& seen, Report& out);

}  // namespace anybind::doctor
