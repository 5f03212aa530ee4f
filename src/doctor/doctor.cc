// Is this machine ready? A table of checks; each is a function from what was observed to findings.
#include "doctor/doctor.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "doctor/checks.h"
#include "inventory/inventory.h"

namespace anybind {
namespace doctor {

void Report::add(Verdict verdict, std::string what, Remark fix) {
  if (++lines_ > kMostLines) {
    CHECK(!out_.empty(), "before the line that is one too many there were others");
    out_.back().what += out_.back().what.ends_with(kMore) ? "" : kMore;
    out_.back().verdict = std::max(out_.back().verdict, verdict);
    return;
  }
  out_.push_back({.check = std::string(check_),
                  .verdict = verdict,
                  .what = std::move(what),
                  .fix = std::move(fix)});
}

std::optional<std::string> value_of(const Host& host, const std::string& path) {
  const auto text = host.sysfs.read(path);
  if (!text) return std::nullopt;
  return std::string(trim_newline(*text));
}

std::vector<std::string> names_in(const Host& host, const std::string& path) {
  auto out = host.sysfs.list(path).value_or(std::vector<std::string>{});
  std::ranges::sort(out);
  return out;
}

std::vector<std::string> files_in(const Host& host, const std::string& path) {
  auto out = host.files.list(path).value_or(std::vector<std::string>{});
  std::ranges::sort(out);
  return out;
}

std::string module_name(std::string_view text) {
  std::string out(text);
  std::ranges::replace(out, '-', '_');
  return out;
}

std::optional<std::string> parameter(const Observed& seen, std::string_view name) {
  return seen.boot.value(name);
}

std::string how_to_add(const Observed& seen, const std::string& parameter) {
  return seen.boot.how_to_add(parameter);
}

std::string how_to_remove(const Observed& seen, const std::string& parameter) {
  return seen.boot.how_to_remove(parameter);
}

std::string counted(std::size_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 4;
  if (names.size() <= kMost + 1) return join_words(names);
  std::vector<std::string> out(names.begin(), names.begin() + kMost);
  out.push_back(fmt::format("{} more", names.size() - kMost));
  return join_words(out);
}

ModuleState module_state(const Host& host, std::string_view file) {
  const std::string name = module_name(file.substr(0, file.rfind(".ko")));
  const std::string dir = "module/" + name;
  if (host.sysfs.read(dir + "/initstate")) return ModuleState::kLoaded;
  if (host.sysfs.open_dir(dir)) return ModuleState::kBuiltIn;
  const std::string tree = "lib/modules/" + host.release;
  const auto modules = host.files.read(tree + "/modules.dep");
  if (host.release.empty() || !modules) return ModuleState::kUnknown;
  const auto has = [&](std::string_view list) {
    return list.contains(fmt::format("/{}", file)) || list.starts_with(file);
  };
  if (has(host.files.read(tree + "/modules.builtin").value_or(""))) return ModuleState::kBuiltIn;
  return has(*modules) ? ModuleState::kAvailable : ModuleState::kMissing;
}

namespace {

std::vector<Device> read_pci(const Host& host) {
  auto ids = read_device_ids(host.sysfs, BusName::literal("pci"));
  if (!ids) return {};
  return read_inventory(host.sysfs, *ids, 1).value_or(std::vector<Device>{});
}

struct Check {
  std::string_view name;
  void (*look)(const Observed&, Report&);
  bool needs_files = false;  ///< says nothing of a machine of which only sysfs is to be seen
};

constexpr auto kChecks = std::to_array<Check>({
    {"root", check_root, true},
    {"lockdown", check_lockdown, true},
    {"iommu", check_iommu},
    {"interrupts", check_interrupts, true},
    {"no-iommu", check_no_iommu},
    {"groups", check_groups},
    {"reserved", check_reserved},
    {"viability", check_viability},
    {"vfio-pci", check_vfio_pci},
    {"vfio-iommu", check_vfio_iommu, true},
    {"parameters", check_command_line, true},
    {"modprobe.d", check_modprobe, true},
    {"nodes", check_nodes, true},
    {"memlock", check_memlock, true},
    {"changes", check_changes, true},
    {"overrides", check_overrides},
    {"autoprobe", check_autoprobe},
    {"driverless", check_driverless, true},
    {"sriov", check_sriov},
    {"display", check_display},
    {"rules", check_rules, true},
    {"driverctl", check_driverctl, true},
    {"udev", check_udev, true},
    {"libvirt", check_libvirt, true},
});

}  // namespace
}  // namespace doctor

std::string_view verdict_word(Verdict verdict) {
  static constexpr std::array<std::string_view, 4> kWords = {"ok", "unknown", "warning", "problem"};
  static_assert(kWords.size() == static_cast<std::size_t>(Verdict::kProblem) + 1);
  const auto at = static_cast<std::size_t>(verdict);
  CHECK(at < kWords.size(), "a verdict is one of four");
  return kWords[at];
}

std::vector<Finding> examine(const Host& host, const KnownChanges& changes) {
  std::vector<Finding> out;
  doctor::Report report(out);
  const BootParameters boot(host);
  const bool has_files = boot.is_known();
  const doctor::Observed seen{.host = host,
                              .changes = changes,
                              .pci = doctor::read_pci(host),
                              .boot = boot,
                              .iommu = read_iommu_state(host),
                              .modprobe = read_modprobe(host),
                              .groups = iommu_groups(host.sysfs)};
  for (const doctor::Check& check : doctor::kChecks) {
    if (check.needs_files && !has_files) continue;
    report.begin(check.name);
    check.look(seen, report);
  }
  if (!has_files) {
    report.begin("machine");
    report.unknown(
        "only sysfs is to be seen: not the kernel command line, nor configuration, rights, nodes",
        "");
  }
  return out;
}

bool is_ready(const std::vector<Finding>& findings) {
  return std::ranges::none_of(
      findings, [](const Finding& finding) { return finding.verdict == Verdict::kProblem; });
}

}  // namespace anybind
