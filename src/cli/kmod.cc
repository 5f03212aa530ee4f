#include "cli/kmod.h"

#include <sys/utsname.h>

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/say.h"
#include "lab/control.h"

namespace anybind::cli {
namespace {

/// The options of modprobe that a lab has a use for.
struct KmodWords {
  bool remove = false;
  bool all = false;
  bool dry = false;
  bool verbose = false;
  bool quiet = false;
  bool resolve = false;
  bool depends = false;
  bool first_time = false;
  std::vector<std::string> names;
};

/// A long option as its letter; 0 for one that changes nothing here.
char letter_of(std::string_view name) {
  struct Long {
    std::string_view name;
    char letter;
  };
  static constexpr Long kLong[] = {{"all", 'a'},         {"config", 'C'},        {"dirname", 'd'},
                                   {"dry-run", 'n'},     {"first-time", 1},      {"quiet", 'q'},
                                   {"remove", 'r'},      {"resolve-alias", 'R'}, {"show", 'n'},
                                   {"set-version", 'S'}, {"show-depends", 'D'},  {"verbose", 'v'},
                                   {"wait", 'w'},        {"remove-holders", 0}};
  const auto* const found = std::ranges::find(kLong, name, &Long::name);
  return found == std::end(kLong) ? '\0' : found->letter;
}

bool has_value_behind(char letter) {
  return std::string_view("CdSw").contains(letter);
}

void set(KmodWords& wanted, char letter) {
  if (letter == 'r') wanted.remove = wanted.all = true;
  if (letter == 'a') wanted.all = true;
  if (letter == 'n') wanted.dry = true;
  if (letter == 'v') wanted.verbose = true;
  if (letter == 'q') wanted.quiet = true;
  if (letter == 'R') wanted.resolve = true;
  if (letter == 'D') wanted.depends = true;
  if (letter == 1) wanted.first_time = true;
}

/// As getopt_long: letters may stand together, and a value in the same word or the next.
KmodWords parse(const std::vector<std::string>& words) {
  KmodWords out;
  bool names_only = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (names_only || !word.starts_with('-') || word == "-") {
      out.names.emplace_back(word);
    } else if (word == "--") {
      names_only = true;
    } else if (word.starts_with("--")) {
      const auto equals = word.find('=');
      const char letter = letter_of(word.substr(2, equals - 2));
      set(out, letter);
      if (has_value_behind(letter) && equals == std::string_view::npos) ++i;
    } else {
      for (std::size_t at = 1; at < word.size(); ++at) {
        set(out, word[at]);
        if (!has_value_behind(word[at])) continue;
        if (at + 1 == word.size()) ++i;
        break;
      }
    }
  }
  return out;
}

/// A module and whether it is there.
struct Known {
  std::string name;
  std::string state;
};

std::vector<Known> ask_for(const std::string& lab, const std::string& name) {
  std::vector<Known> out;
  const auto text = lab::ask_lab(lab, {"find", name});
  if (!text) return out;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const auto space = line.find(' ');
    if (space == std::string_view::npos) continue;
    out.push_back({std::string(line.substr(0, space)), std::string(line.substr(space + 1))});
  }
  return out;
}

std::string modules_directory() {
  utsname name{};
  ::uname(&name);
  return fmt::format("/lib/modules/{}", name.release);
}

class Modprobe {
 public:
  Modprobe(Context& context, std::string lab, KmodWords wanted)
      : context_(context), lab_(std::move(lab)), wanted_(std::move(wanted)) {
    if (wanted_.all || wanted_.names.empty()) return;
    parameters_.assign(wanted_.names.begin() + 1, wanted_.names.end());
    wanted_.names.resize(1);
  }

  int run() {
    int code = 0;
    for (const std::string& name : wanted_.names) {
      const auto known = ask_for(lab_, name);
      if (known.empty()) {
        code = fail(wanted_.remove ? fmt::format("Module {} not found.", printable(name))
                                   : fmt::format("Module {} not found in directory {}",
                                                 printable(name), modules_directory()));
      }
      for (const Known& module : known) code = std::max(code, one(module));
    }
    return code;
  }

 private:
  int fail(const std::string& why) {
    if (!wanted_.quiet) say(context_.err, "modprobe: FATAL: {}\n", why);
    return 1;
  }
  void show_insmod(const Known& module) {
    std::string line = fmt::format("insmod {}/{}.ko ", modules_directory(), module.name);
    for (const std::string& parameter : parameters_) line += parameter + " ";
    say(context_.out, "{}\n", printable(line, SIZE_MAX));
  }

  int one(const Known& module) {
    if (wanted_.resolve) {
      say(context_.out, "{}\n", module.name);
      return 0;
    }
    if (wanted_.depends) {
      if (module.state == "builtin") {
        say(context_.out, "builtin {}\n", module.name);
      } else {
        show_insmod(module);
      }
      return 0;
    }
    return wanted_.remove ? remove(module) : load(module);
  }

  int load(const Known& module) {
    if (module.state != "absent") {
      if (!wanted_.first_time) return 0;
      return fail(fmt::format("Module {} {}.", module.name,
                              module.state == "builtin" ? "is builtin" : "already in kernel"));
    }
    if (wanted_.verbose) show_insmod(module);
    if (wanted_.dry) return 0;
    lab::Words ask = {"load", module.name};
    ask.insert(ask.end(), parameters_.begin(), parameters_.end());
    if (lab::ask_lab(lab_, ask)) return 0;
    if (!wanted_.quiet) {
      say(context_.err, "modprobe: ERROR: could not insert '{}': Operation not permitted\n",
          module.name);
    }
    return 1;
  }

  int remove(const Known& module) {
    if (module.state == "builtin") return fail(fmt::format("Module {} is builtin.", module.name));
    if (module.state == "absent") {
      return wanted_.first_time ? fail(fmt::format("Module {} is not in kernel.", module.name)) : 0;
    }
    if (wanted_.verbose) say(context_.out, "rmmod {}\n", module.name);
    if (wanted_.dry || lab::ask_lab(lab_, {"unload", module.name})) return 0;
    return fail(fmt::format("Module {} is in use.", module.name));
  }

  Context& context_;
  std::string lab_;
  KmodWords wanted_;
  std::vector<std::string> parameters_;
};

/// The name in "/path/to/e1000e.ko.xz".
std::string name_of_file(const std::string& file) {
  const std::string name = file.substr(file.rfind('/') + 1);
  return name.substr(0, name.find(".ko"));
}

int run_rmmod(Context& context, const std::string& lab, const KmodWords& wanted) {
  int code = 0;
  for (const std::string& word : wanted.names) {
    const std::string name = name_of_file(word);
    const auto known = ask_for(lab, name);
    const std::string state = known.empty() ? "absent" : known.front().state;
    if (state == "live" && lab::ask_lab(lab, {"unload", name})) continue;
    const char* why = state == "live"      ? "in use"
                      : state == "builtin" ? "builtin."
                                           : "not currently loaded";
    say(context.err, "rmmod: ERROR: Module {} is {}\n", printable(name), why);
    code = 1;
  }
  return code;
}

int run_insmod(Context& context, const std::string& lab, const KmodWords& wanted) {
  if (wanted.names.empty()) {
    say(context.err, "insmod: ERROR: missing filename.\n");
    return 1;
  }
  const std::string& file = wanted.names.front();
  const std::string name = name_of_file(file);
  const auto known = ask_for(lab, name);
  const bool absent = !known.empty() && known.front().state == "absent";
  lab::Words ask = {"load", name};
  ask.insert(ask.end(), wanted.names.begin() + 1, wanted.names.end());
  if (absent && lab::ask_lab(lab, ask)) return 0;
  if (known.empty()) {
    say(context.err, "insmod: ERROR: could not load module {}: No such file or directory\n",
        printable(file));
  } else {
    say(context.err, "insmod: ERROR: could not insert module {}: File exists\n", printable(file));
  }
  return 1;
}

}  // namespace

int run_kmod_program(Context& context, const std::string& lab, const std::string& program,
                     const std::vector<std::string>& words) {
  KmodWords wanted = parse(words);
  if (program == "rmmod") return run_rmmod(context, lab, wanted);
  if (program == "insmod") return run_insmod(context, lab, wanted);
  return Modprobe(context, lab, std::move(wanted)).run();
}

}  // namespace anybind::cli
