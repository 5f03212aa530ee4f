#pragma once

#include <cstdio>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "host/sysfs.h"

namespace CLI {
class App;
}

namespace anybind::cli {

class Session;

/// What every verb is given: the machine that was asked for and how to speak to the user.
struct Context {
  Sysfs& sysfs;            ///< /sys, --sysfs DIR, or the lab
  std::string sysfs_root;  ///< what stands before a path of it: "/sys", DIR
  std::string names_file;  ///< pci.ids
  std::string alias_file;  ///< modules.alias of the running kernel; empty in a lab
  bool json = false;
  bool color = false;            ///< standard output is a terminal and nobody forbade it
  int verbosity = 0;             ///< -1 with -q, 1 with -v
  unsigned threads = 0;          ///< for reading many devices; 0: choose
  unsigned width = 0;            ///< columns of the terminal; 0: not a terminal, cut nothing
  bool may_ask_service = false;  ///< this machine, and we are not root (cli/service.h)
  Session& session;              ///< what is kept between two commands; the lab
  std::FILE* out = stdout;
  std::FILE* err = stderr;
};

/// Does the work of a verb; the value is the exit code (0, or 1 for drift). An Error is reported by
/// main() and becomes the exit code of its kind.
using Run = std::function<Result<int>(Context&)>;

/// One row of the table of verbs: one file a verb.
struct Verb {
  std::string_view name;
  std::string_view arguments;   ///< as in the usage line: "DEVICE... DRIVER"
  std::string_view summary;     ///< one line, lower case, without a full stop
  Run (*setup)(CLI::App& app);  ///< adds the verb's options to `app`; called for the verb that
                                ///< runs, and to find out which options there are
};

/// All verbs, in the order of the help page.
[[nodiscard]] std::span<const Verb> verbs();

Run setup_list(CLI::App& app);
Run setup_show(CLI::App& app);
Run setup_explain(CLI::App& app);
Run setup_doctor(CLI::App& app);
Run setup_bind(CLI::App& app);
Run setup_unbind(CLI::App& app);
Run setup_restore(CLI::App& app);
Run setup_undo(CLI::App& app);
Run setup_history(CLI::App& app);
Run setup_recover(CLI::App& app);
Run setup_vfs(CLI::App& app);
Run setup_rules(CLI::App& app);
Run setup_status(CLI::App& app);
Run setup_apply(CLI::App& app);
Run setup_import(CLI::App& app);
Run setup_kernel_args(CLI::App& app);
Run setup_monitor(CLI::App& app);
Run setup_capture(CLI::App& app);
Run setup_lab(CLI::App& app);
Run setup_race(CLI::App& app);

}  // namespace anybind::cli
