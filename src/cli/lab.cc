// lab: a modelled machine as the /sys of unmodified programs, and what is done to it from beside.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/answer.h"
#include "cli/candidates.h"
#include "cli/kmod.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "lab/control.h"
#include "lab/lab.h"

namespace anybind::cli {
namespace {

struct LabOptions {
  std::string file;
  std::string directory;
  std::string profile;
  std::string name;
  std::string program;
  bool foreground = false;
  std::vector<std::string> words;
  std::vector<std::string> writable;
  std::string trace;
};
using SharedOptions = std::shared_ptr<LabOptions>;

/// Ends the process at once: threads of the lab may still be waiting for one another.
[[noreturn]] void leave(int code) {
  std::fflush(nullptr);
  std::_Exit(code);
}

Result<int> run_in_lab(const SharedOptions& options, std::vector<std::string> command) {
  auto machine = TRY(load_lab(options->file, options->profile));
  const int code = TRY(lab::exec(std::move(machine), {.command = std::move(command),
                                                      .name = options->name,
                                                      .writable = options->writable,
                                                      .trace = options->trace}));
  leave(code);
}

Result<int> run_exec(Context& /*context*/, const SharedOptions& options) {
  return run_in_lab(options, options->words);
}

Result<int> run_shell(Context& /*context*/, const SharedOptions& options) {
  const char* shell = std::getenv("SHELL");
  return run_in_lab(options, {shell != nullptr && shell[0] == '/' ? shell : "/bin/sh"});
}

Result<int> run_mount(Context& context, const SharedOptions& options) {
  auto machine = TRY(load_lab(options->file, options->profile));
  const int code = TRY(lab::mount(std::move(machine), options->directory, options->name,
                                  options->foreground, options->trace));
  // Not 0: the process that was to serve it has said why.
  if (context.json && code == 0) answer(context, {{"mounted", options->directory}});
  leave(code);
}

Result<int> run_list(Context& context, const SharedOptions& /*options*/) {
  const auto labs = TRY(lab::running_labs());
  if (context.json) {
    answer_text(context, wire::line_of(wire::Json(labs)));
  } else {
    for (const std::string& name : labs) say(context.out, "{}\n", name);
  }
  return 0;
}

/// A command that the lab itself understands.
Result<int> run_ask(Context& context, const SharedOptions& options, std::string command) {
  std::vector<std::string> words = {std::move(command)};
  words.insert(words.end(), options->words.begin(), options->words.end());
  const std::string text = TRY(lab::ask_lab(options->name, words));
  if (context.json) {
    answer(context, {{words.front() == "save" ? "machine" : "said", text}});
    return 0;
  }
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    say(context.out, "{}\n", printable(std::string_view(text).substr(at, end - at), SIZE_MAX));
    at = end + 1;
  }
  return 0;
}

Result<int> run_kmod(Context& context, const SharedOptions& options) {
  return run_kmod_program(context, options->name, options->program, options->words);
}

CLI::App* add_verb(CLI::App& app, Run& chosen, const std::string& name, const std::string& summary,
                   Run run) {
  CLI::App* out = app.add_subcommand(name, summary);
  out->fallthrough();
  out->callback([&chosen, run = std::move(run)] { chosen = run; });
  return out;
}

void add_machine(CLI::App* app, const SharedOptions& options) {
  app->add_option("file", options->file, "a machine file")->required()->type_name("FILE");
  app->add_option("--profile", options->profile, "the kernel to model, instead of the file's")
      ->type_name("P");
  app->add_option("--name", options->name, "the lab's name, for `anybind lab add` and the like")
      ->type_name("NAME");
  app->add_option("--trace", options->trace,
                  "a file that gets a line for each write to the modelled /sys, and its answer")
      ->type_name("FILE");
}

void add_writable(CLI::App* app, const SharedOptions& options) {
  app->add_option("--writable", options->writable,
                  "a directory of this machine that the command may change, beside the working "
                  "directory, $HOME, $TMPDIR, /tmp and /var/tmp; once for each")
      ->type_name("DIR")
      ->allow_extra_args(false)
      ->check(CLI::Validator(CLI::ExistingDirectory).description(""));
}

void add_asking(CLI::App& app, Run& chosen, const SharedOptions& options, const std::string& name,
                const std::string& summary, int least, int most) {
  CLI::App* out = add_verb(app, chosen, name, summary, [options, name](Context& context) {
    return run_ask(context, options, name);
  });
  out->add_option("--name", options->name, "which lab, when more than one runs")->type_name("NAME");
  if (most != 0) out->add_option("words", options->words, "")->required()->expected(least, most);
}

}  // namespace

std::vector<std::string> lab_names() {
  return lab::running_labs().value_or(std::vector<std::string>{});
}

Run setup_lab(CLI::App& app) {
  auto options = std::make_shared<LabOptions>();
  auto chosen = std::make_shared<Run>();
  const auto with = [options](auto run) {
    return [options, run](Context& context) { return run(context, options); };
  };
  CLI::App* exec =
      add_verb(app, *chosen, "exec", "run a command with a modelled /sys", with(run_exec));
  add_machine(exec, options);
  add_writable(exec, options);
  exec->add_option("command", options->words, "the command, behind --")->required();
  CLI::App* shell =
      add_verb(app, *chosen, "shell", "run a shell with a modelled /sys", with(run_shell));
  add_machine(shell, options);
  add_writable(shell, options);
  CLI::App* mount =
      add_verb(app, *chosen, "mount", "mount a modelled /sys at a directory; umount ends it",
               with(run_mount));
  add_machine(mount, options);
  mount->add_option("directory", options->directory, "where")->required()->type_name("DIR");
  mount->add_flag("-f,--foreground", options->foreground, "do not go to the background");
  add_verb(app, *chosen, "list", "the labs that run", with(run_list));
  add_asking(app, *chosen, options, "add", "plug a card in, or all of a slot such as 0000:03:00", 1,
             1);
  add_asking(app, *chosen, options, "remove", "take a device out", 1, 1);
  add_asking(app, *chosen, options, "set",
             "what a driver's probe answers, how long it takes in milliseconds, or whether user "
             "space holds a group or has a device open",
             3, 4);
  add_asking(app, *chosen, options, "load", "load a module", 1, 1);
  add_asking(app, *chosen, options, "unload", "unload a module", 1, 1);
  add_asking(app, *chosen, options, "save", "print what has become of it as a machine file", 0, 0);
  CLI::App* kmod = add_verb(app, *chosen, "kmod", "", with(run_kmod));
  kmod->group("");  // what the lab's modprobe calls
  kmod->add_option("program", options->program, "")->required();
  kmod->add_option("words", options->words, "");
  app.require_subcommand(1);
  return [chosen](Context& context) { return (*chosen)(context); };
}

}  // namespace anybind::cli
