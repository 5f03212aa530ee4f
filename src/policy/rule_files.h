#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "host/host.h"
#include "host/storage.h"
#include "policy/rule.h"
#include "policy/spec.h"

// The files of rules that count for a service: what stands in each, and how one is written.
namespace anybind {

/// Where the rules are that count.
struct RuleSource {
  /// Files or directories, as somebody names them; none: the folders of the machine.
  std::vector<std::string> named{};
};

/// The rules of the files, and of driverctl where the machine's own count. Errors: those of
/// read_rules() and of read_named_specs().
[[nodiscard]] Result<Spec> read_rules_of(const Host& host, const RuleSource& source);

/// The first of the named paths that is a directory; empty: none is named at all. kUsage: they are
/// all files.
[[nodiscard]] Result<std::string> named_folder(const RuleSource& source);

/// One file of rules, as people look at it.
struct RuleFile {
  enum class From : std::uint8_t {
    kAdministrator,  ///< it is where rules are written
    kVendor,         ///< a package has brought it
    kNamed,          ///< somebody has named it, or its directory
  };
  enum class State : std::uint8_t {
    kCounts,
    kMasked,   ///< a file of the same name counts in its place
    kMask,     ///< a link to /dev/null: a file without rules
    kRefused,  ///< it is not believed, and while it is there, none of them is
  };
  std::string path;  ///< "/etc/anybind.d/50-guest.toml"
  From from = From::kAdministrator;
  State state = State::kCounts;
  std::optional<std::string> text{};  ///< nullopt: it is not shown
  std::string why{};                  ///< it is refused, or not shown

  /// "50-guest"
  [[nodiscard]] std::string name() const;
};

/// Who looks at the files.
enum class Reader : std::uint8_t { kRoot, kAnybody };

/// Every file of rules, in the order in which they count. Texts that the modes of file and folder
/// keep from others than root are shown to kRoot alone, and nobody is shown where a link leads.
/// Errors: a folder cannot be read.
[[nodiscard]] Result<std::vector<RuleFile>> list_rule_files(const Host& host,
                                                            const RuleSource& source,
                                                            Reader reader);

/// A file of the folder where rules are written, and what shall stand in it.
struct NewRuleFile {
  std::string name;  ///< "50-guest", of "50-guest.toml"
  std::string text;  ///< empty: it shall not be there
};

/// kUsage: no possible name of such a file.
[[nodiscard]] Result<> check_rule_file_name(std::string_view name);

/// Everything that would count if the file had its new text. kUsage: the name, or there is no
/// folder where rules are written: /etc/anybind.d, or the first that is named. Other errors are
/// those of the files that are there.
[[nodiscard]] Result<std::vector<SpecFile>> files_with(const Host& host, const RuleSource& source,
                                                       const NewRuleFile& file);
/// The same as rules; errors also those of parse_spec().
[[nodiscard]] Result<Spec> rules_with(const Host& host, const RuleSource& source,
                                      const NewRuleFile& file);

/// What the change of one file does to the rules in it, in their order: those that come, go, are
/// other ones or stand elsewhere among the others. As text_of() writes a rule; empty: it goes.
struct ChangedRule {
  std::string name{};  ///< empty: no rule is another one, but the text is
  std::string text{};
  friend bool operator==(const ChangedRule&, const ChangedRule&) = default;
};

[[nodiscard]] std::vector<ChangedRule> changed_rules(const std::string& before,
                                                     const std::string& after);

/// A new text for a file that somebody has read before.
class RuleFileChange {
 public:
  /// Reads what is there. kUsage: the name, or the text is broken, or makes what others say so;
  /// every fault that has not been there before is told. kRefused: the file does not hold
  /// `expected`, or is a link. kNotPermitted, kFailed: it cannot be read.
  [[nodiscard]] static Result<RuleFileChange> plan(const Host& host, const RuleSource& source,
                                                   NewRuleFile file, const std::string& expected);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::vector<ChangedRule>& rules() const { return rules_; }
  [[nodiscard]] bool removes() const { return file_.text.empty(); }
  /// The file is not so already.
  [[nodiscard]] bool changes() const;
  /// In one step and durably; a file that not everybody may read is root's alone then too. Nothing
  /// when it changes nothing. kNotPermitted, or kFailed: no space, for instance; then it is as it
  /// was.
  [[nodiscard]] Result<> carry_out() const;

 private:
  std::string folder_;  ///< as it is opened
  std::string path_;    ///< as people know it
  NewRuleFile file_;
  std::optional<std::string> before_{};  ///< nullopt: it is not there
  Readers readers_ = Readers::kAll;
  std::vector<ChangedRule> rules_{};
};

}  // namespace anybind
