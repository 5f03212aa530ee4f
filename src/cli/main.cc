// The table of verbs, the options that all of them share, and how errors reach the user.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "cli/exit_code.h"
#include "cli/help.h"
#include "cli/login_address.h"
#include "cli/names_file.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "cli/verb.h"

namespace anybind::cli {
namespace {

constexpr std::string_view kVersion = "anybind " ANYBIND_VERSION;

constexpr auto kVerbs = std::to_array<Verb>({
    {"list", "[SELECTOR...]", "devices with their class, names, product, driver and users",
     setup_list},
    {"show", "DEVICE...", "everything known about a device", setup_show},
    {"explain", "DEVICE [DRIVER]", "which drivers match it and why, what would stop DRIVER",
     setup_explain},
    {"doctor", "", "is this machine ready to give devices to user space", setup_doctor},
    {"bind", "DEVICE... DRIVER", "give devices to a driver, all or none", setup_bind},
    {"unbind", "DEVICE...", "leave devices without a driver, and keep them so", setup_unbind},
    {"restore", "DEVICE...", "back to what they were before anybind", setup_restore},
    {"undo", "[ID]", "take a change back, the last one by default", setup_undo},
    {"vfs", "PF COUNT", "create virtual functions that no host driver ever probes", setup_vfs},
    {"history", "", "the changes that were made, newest first", setup_history},
    {"recover", "", "finish or undo what was cut off", setup_recover},
    {"rules", "[SPEC...]", "the declared state: each rule, and what it matches now", setup_rules},
    {"status", "[SPEC...]", "what is declared beside what is; exit 1 when they differ",
     setup_status},
    {"apply", "[SPEC...]", "make what is declared so", setup_apply},
    {"import", "driverctl|modprobe|proxmox", "what others left, as rules", setup_import},
    {"kernel-args", "[SPEC...]", "rules as vfio-pci.ids for the kernel command line",
     setup_kernel_args},
    {"monitor", "[SPEC...]", "bindings, and what differs from the rules, as it happens",
     setup_monitor},
    {"capture", "[FILE]", "this machine as a lab file", setup_capture},
    {"lab", "exec FILE -- CMD... | ...", "a modelled machine as the /sys of other programs",
     setup_lab},
    {"race", "[--pairs] | replay TOKEN", "which mechanism breaks which promise, in which ordering",
     setup_race},
});

struct Globals {
  MachineChoice machine;
  bool json = false;
  bool no_color = false;
  bool quiet = false;
  bool verbose = false;
  unsigned threads = 0;
};

void add_globals(CLI::App& app, Globals& globals) {
  // Empty is an unset variable in a script, and must not mean this machine.
  const CLI::Validator named([](const std::string& text) { return text.empty() ? "empty" : ""; },
                             "");
  app.add_option("--sysfs", globals.machine.sysfs, "another path to /sys, or a tree like it")
      ->type_name("DIR")
      ->check(named);
  app.add_option("--lab", globals.machine.lab, "a modelled machine instead of this one")
      ->type_name("FILE")
      ->check(named);
  app.add_option("--state", globals.machine.state, "where to remember things between commands")
      ->type_name("DIR")
      ->check(named);
  app.set_help_flag("-h,--help", "this page; of a verb, that verb's own");
  app.add_flag("--json", globals.json, "for programs");
  app.add_flag("--no-color", globals.no_color, "also when NO_COLOR is set");
  app.add_flag("-q,--quiet", globals.quiet, "errors only");
  app.add_flag("-v,--verbose", globals.verbose, "say what is done and why; of list: show more");
  app.add_option("--threads", globals.threads, "for reading many devices")->type_name("N");
}

int report(const Error& error) {
  std::string text = "anybind: " + error.message() + "\n";
  for (const Remark& line : error.details) text += "  " + printable(text_of(line), 1024) + "\n";
  if (!error.advice.empty()) text += "  " + printable(text_of(error.advice), 1024) + "\n";
  put(stderr, reflowed(text, columns_of(stderr)));
  return exit_code(error.kind);
}

/// Whether standard output is for a program: as soon as that is known, also of a command line that
/// is wrong.
bool wants_json = false;

/// The same, and for programs as JSON on standard output, where nothing else is then.
int tell(const Error& error) {
  if (wants_json) answer_error(error);
  return report(error);
}

/// What the command says of itself.
int tell_about(const char* what, const std::string& text) {
  const std::string value = wants_json ? wire::text_of({{what, text}}) : text;
  put(stdout, value);
  if (!value.ends_with('\n')) put(stdout, "\n");
  return 0;
}

const Verb* verb_named(std::string_view name) {
  const auto* found = std::ranges::find(kVerbs, name, &Verb::name);
  return found == kVerbs.end() ? nullptr : found;
}

std::size_t help_width() {
  return page_width(columns_of(stdout));
}

std::string help() {
  CLI::App app;
  Globals globals;
  add_globals(app, globals);
  return main_page(kVerbs, app, help_width());
}

bool wants_color(const Globals& globals) {
  const char* none = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe)
  const char* term = std::getenv("TERM");      // NOLINT(concurrency-mt-unsafe)
  const bool forbidden = globals.no_color || (none != nullptr && *none != '\0') ||
                         (term != nullptr && std::string_view(term) == "dumb");
  return !forbidden && ::isatty(STDOUT_FILENO) == 1;
}

bool is_this_machine(const Globals& globals) {
  return globals.machine.lab.empty() && globals.machine.sysfs.empty();
}

Result<int> run_verb(const Globals& globals, const Run& run) {
  if (!globals.machine.sysfs.empty() && !globals.machine.lab.empty()) {
    return fail(usage_error("--sysfs and --lab are two machines", "leave one of them out"));
  }
  MachineChoice choice = globals.machine;
  choice.login = login_address();
  auto session = TRY(Session::open(choice));
  Context context{.sysfs = session->host().sysfs,
                  .sysfs_root = session->host().sysfs_root,
                  .names_file = names_file(),
                  .json = globals.json,
                  .color = wants_color(globals),
                  .verbosity = globals.quiet     ? -1
                               : globals.verbose ? 1
                                                 : 0,
                  .threads = globals.threads,
                  .width = columns_of(stdout),
                  .may_ask_service =
                      is_this_machine(globals) && globals.machine.state.empty() && ::geteuid() != 0,
                  .session = *session};
  return run(context);
}

/// Whether all that was printed has arrived: no command whose output is lost may answer 0.
Result<> end_output() {
  errno = 0;
  const bool lost = std::ferror(stdout) != 0;
  if (std::fflush(stdout) == 0 && !lost) return {};
  return fail(from_errno(Errno{errno == 0 ? EIO : errno}, "write to", "standard output"));
}

/// What the history shows: without the options that say which machine, and where the history is.
std::string command_line(std::string_view verb, std::span<const std::string> args) {
  std::string out(verb);
  for (auto it = args.begin(); it != args.end(); ++it) {
    const auto is = [&](std::string_view option) {
      return *it == option || it->starts_with(std::string(option) + "=");
    };
    if (is("--lab") || is("--sysfs") || is("--state")) {
      if (!it->contains('=') && std::next(it) != args.end()) ++it;
    } else {
      out += " " + *it;
    }
  }
  return out;
}

bool has_word(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

std::string help_of(const Verb& verb, const CLI::App& app) {
  CLI::App shared;
  Globals globals;
  add_globals(shared, globals);
  return verb_page(verb, app, shared, help_width());
}

/// Who may not do it as who they are is told how they may.
Error with_sudo(Error error, const Globals& globals, const std::vector<std::string>& args) {
  if (error.kind != ErrorKind::kNotPermitted || ::geteuid() == 0 || !is_this_machine(globals))
    return error;
  std::string line =
      "sudo anybind " + globals.machine.command.substr(0, globals.machine.command.find(' '));
  for (const std::string& word : args) line += " " + shell_quote(word);
  error.advice = line;
  return error;
}

int parse_and_run(const Verb& verb, std::vector<std::string> args, ArgumentReader& reader) {
  CLI::App app(std::string(verb.summary), "anybind " + std::string(verb.name));
  Globals globals;
  const Run run = verb.setup(app);
  add_globals(app, globals);
  globals.machine.command = command_line(verb.name, args);
  args = reader.ordered(app, std::move(args));
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));  // as CLI11 wants them
  } catch (const CLI::CallForHelp&) {
    return tell_about("help", help_of(verb, app));
  } catch (const CLI::ParseError& refusal) {
    return tell(wrong_words(verb, app, args, refusal, reader));
  }
  wants_json = globals.json;
  const Result<int> code = run_verb(globals, run);
  return code ? *code : tell(with_sudo(code.error(), globals, args));
}

int run_main(std::vector<std::string> args) {
  ArgumentReader reader(kVerbs, [](CLI::App& app) {
    static Globals globals;
    add_globals(app, globals);
  });
  if (!args.empty() && args.front() == "--complete") {
    complete(std::span(args).subspan(1), kVerbs, reader, [](CLI::App& app) {
      static Globals globals;
      add_globals(app, globals);
    });
    return 0;
  }
  // What stands behind -- is not for us.
  wants_json = has_word({args.begin(), std::ranges::find(args, "--")}, "--json");
  const auto line = args;
  auto [name, words] = reader.split(std::move(args));
  const bool helps = name == "help";
  if (helps) {
    Arguments about = reader.split(std::move(words));
    name = std::move(about.verb);
    words = std::move(about.words);
    words.emplace_back("--help");
  }
  if (!name) {
    if (helps) return tell_about("help", help());
    if (has_word(words, "--version")) return tell_about("version", std::string(kVersion));
    if (has_word(words, "--help") || has_word(words, "-h")) return tell_about("help", help());
    return tell(no_verb(words, kVerbs, reader));
  }
  const Verb* verb = verb_named(*name);
  if (verb == nullptr) {
    const std::span before(line.begin(), std::ranges::find(line, *name));
    return tell(unknown_verb(*name, before, kVerbs, reader));
  }
  return parse_and_run(*verb, std::move(words), reader);
}

/// A command that only reads has failed when its output is lost; one that changes the machine says
/// by its exit code what became of that.
int tell_and_end(int code) {
  const auto printed = end_output();
  if (printed || code != 0) return code;
  const int lost = report(printed.error());
  if (!is_change()) return lost;
  put(stderr, "  the change itself is done\n");
  return 0;
}

}  // namespace

std::span<const Verb> verbs() {
  return kVerbs;
}

int run_command(int argc, char** argv) {
  try {
    return tell_and_end(run_main(std::vector<std::string>(argv + std::min(argc, 1), argv + argc)));
  } catch (const std::bad_alloc&) {
    if (wants_json) answer_no_memory();
    put(stderr, "anybind: there is no memory left; raise its limit (ulimit -v), or free some\n");
  } catch (const std::system_error& refused) {
    return tell({.why = fmt::format("the system refuses a thread or a file: {}", refused.what()),
                 .advice = "see ulimit -a"});
  } catch (const std::exception& thrown) {
    return tell({.why = thrown.what()});
  }
  return 1;
}

}  // namespace anybind::cli
