#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "binding/planner.h"
#include "binding/transaction.h"
#include "cli/answer_json.h"
#include "cli/session.h"
#include "cli/verb.h"

namespace CLI {
class Option;
}

// What the verbs that change bindings share.
namespace anybind::cli {

struct ChangeOptions {
  std::vector<std::string> words;
  bool group = false;
  bool dry_run = false;
  std::optional<double> timeout;     ///< seconds
  std::vector<std::string> ignored;  ///< names of guards
  std::string mechanism;             ///< empty: the safest
  bool no_iommu = false;             ///< bind: also without an IOMMU
  std::string owner;                 ///< bind: of the VFIO nodes; empty: as they are
};

/// Plans on this machine; reads, nothing else. Only some ask what there was before.
struct Planning {
  std::function<Result<Plan>(Sysfs&, const Memory&)> plan;
  bool needs_memory = false;
  std::function<Result<>()> finish{};                     ///< RunOptions::finish
  std::function<std::vector<Afterwards>()> afterwards{};  ///< what `finish` will do, for --dry-run
};

/// From now on Ctrl-C and SIGTERM end a plan at the next step, and it is rolled back, which they do
/// not disturb. Nothing else ends it: not a hang-up (giving away the card of one's own ssh session
/// is usual, and the change is what was asked for), not a pipe without reader, a limit of file
/// sizes or a terminal that lets only the foreground write. System calls go on (SA_RESTART): a
/// write into the kernel is never cut short.
void catch_signals();
/// Whether catch_signals() was called: then the exit code tells what became of the machine, also
/// when nobody could be told more.
[[nodiscard]] bool is_change();

void add_timeout(CLI::App& app, ChangeOptions& options);
void add_ignore(CLI::App& app, ChangeOptions& options);
/// Only these words, with the nearest of them in the error; `what` says what they are.
void allow_only(CLI::Option& option, std::vector<std::string> names, const char* what);
[[nodiscard]] bool is_ignored(const ChangeOptions& options, std::string_view guard);

/// What is remembered, when no other anybind is changing things; says whom it waits for.
[[nodiscard]] Result<Memory> lock_memory(Context& context, const ChangeOptions& options,
                                         Memory::OnDamage on_damage = Memory::OnDamage::kFail);

/// Refused when one of `devices`, which are to lose their drivers, is in use, unless the name of
/// each finding is ignored. In a lab nothing is in use.
[[nodiscard]] Result<> check_guards(Context& context, const std::vector<Asked>& devices,
                                    const ChangeOptions& options);

/// Refers to both, which must outlive it.
[[nodiscard]] RunOptions run_options(Context& context, const ChangeOptions& options);

/// Says what is done; a line of progress on a terminal after a second. Ctrl-C is answered at once
/// with `on_stop`, a whole line, until it is destroyed. Only one at a time.
[[nodiscard]] std::unique_ptr<Listener> narrator(const Context& context, std::size_t devices,
                                                 const char* on_stop);

/// Prints each step as a line of a shell script.
[[nodiscard]] std::unique_ptr<Listener> script(const Context& context);

/// A line a device, or JSON.
void print_outcomes(const Context& context, const std::vector<Outcome>& outcomes);

/// Makes the plan, runs it and prints what came of it, or prints what would (--dry-run).
[[nodiscard]] Result<int> plan_and_run(Context& context, const ChangeOptions& options,
                                       const Planning& planning);

}  // namespace anybind::cli
