#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "host/proc.h"
#include "policy/rule.h"

namespace anybind {

/// A file of rules, read.
struct SpecFile {
  std::string name;  ///< as people are told of it
  std::string text;
};

/// Where rules are, below the root of a machine's files; what comes first masks a file of the same
/// name that comes later, also when it is a link to /dev/null.
inline constexpr const char* kRuleFolders[] = {"etc/anybind.d", "usr/lib/anybind.d"};

/// Where driverctl keeps its own.
inline constexpr const char* kDriverctlFolder = "etc/driverctl.d";

/// The files *.toml of both folders, in the order of their names. kNotPermitted: one of them cannot
/// be read, or others than root may write to it, or to its folder, so that it would be a way to
/// root's rights.
[[nodiscard]] Result<std::vector<SpecFile>> read_spec_files(const Proc& files);

/// The rules of driverctl: a file for each device in /etc/driverctl.d ("pci-0000:03:00.0") that
/// holds the name of its driver. Each is a rule of its own, named "driverctl BUS/NAME". Files that
/// driverctl would not make are passed over. kNotPermitted as for read_spec_files().
[[nodiscard]] Result<std::vector<Rule>> read_driverctl_rules(const Proc& files);

/// What becomes of a rule that never counts, as an earlier one matches everything that it matches.
enum class Coverage : std::uint8_t { kIsAFault, kAllowed };

/// The rules that `files` hold, in this order. kUsage, with the place ("FILE:LINE:COLUMN") of the
/// first fault, and of all others in the details: no TOML, a key or a word that is not known, a
/// match without a condition, a name that two rules have, or a rule that never counts, as an
/// earlier one matches everything that it matches.
[[nodiscard]] Result<Spec> parse_spec(const std::vector<SpecFile>& files,
                                      Coverage coverage = Coverage::kIsAFault);

/// One thing that is wrong with files of rules.
struct SpecFault {
  RulePlace place;  ///< without a file: of all of them together
  std::string why;
  Remark advice{};
  friend bool operator==(const SpecFault&, const SpecFault&) = default;
};
/// All for which parse_spec() would give an error; empty: it would not.
[[nodiscard]] std::vector<SpecFault> faults_of(const std::vector<SpecFile>& files);

/// Rules that are not written in TOML join the ones that are; what never counts then is dropped.
void append_rules(Spec& spec, std::vector<Rule> rules);

/// All rules of a machine: read_spec_files(), with read_driverctl_rules() behind them. Errors are
/// those of these, and of parse_spec().
[[nodiscard]] Result<Spec> read_rules(const Proc& files);

/// A file that says what root shall do, and that only root can write to; nullopt: it is not there.
/// `path` is below the root of `files`. kNotPermitted: others may write to it, or to its folder.
[[nodiscard]] Result<std::optional<std::string>> read_trusted(const Proc& files,
                                                              const std::string& path);

/// kNotPermitted: others than root could write what root then does, or it is a link.
[[nodiscard]] Result<> check_trust(const Proc& files, const std::string& path);

/// It is masked as systemd does it, by a link to nothing.
[[nodiscard]] bool is_mask(const Proc& files, const std::string& path);

}  // namespace anybind
