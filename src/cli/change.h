#pragma once

#include <optional>
#include <string>
#include <vector>

#include "change/outcome.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "plan/request.h"
#include "policy/lasting.h"

namespace CLI {
class Option;
}

// What the verbs that change bindings share.
namespace anybind::cli {

struct ChangeOptions {
  std::vector<std::string> words;
  bool group = false;
  bool everything = false;  ///< restore
  bool dry_run = false;
  std::optional<double> timeout;     ///< seconds
  std::vector<std::string> ignored;  ///< names of guards
  std::vector<std::string> except;   ///< selectors of what is left alone
  bool skip_in_use = false;
  std::string mechanism;  ///< empty: the safest
  bool no_iommu = false;  ///< bind: also without an IOMMU
  std::string owner;      ///< bind: of the VFIO nodes; empty: as they are
  bool persist = false;   ///< by rules (cli/persist.h)
  std::string rules;      ///< their directory; empty: the machine's
};

void add_timeout(CLI::App& app, ChangeOptions& options);
void add_ignore(CLI::App& app, ChangeOptions& options);
/// Only a number of seconds, at most `most`.
void allow_seconds(CLI::Option& option, double most);
/// Only these words, which its page then names; the error names the nearest. `what` says
/// what they are.
void allow_only(CLI::Option& option, std::vector<std::string> names, const char* what);

/// A request that says what the options say that all verbs have.
[[nodiscard]] Request request_of(const ChangeOptions& options);

/// A line a device, or JSON.
void print_outcomes(const Context& context, const std::vector<Outcome>& outcomes);

/// Does what is asked for and prints what came of it, or prints what would (--dry-run).
[[nodiscard]] Result<int> carry_out(Context& context, const ChangeOptions& options,
                                    const Wanted& wanted);
[[nodiscard]] Result<int> carry_out(Context& context, const ChangeOptions& options,
                                    const Request& request);

}  // namespace anybind::cli
