// Usage errors. The order in which the line is looked at is that in which a person wants to hear:
// first an option that is not there, or lacks its value, since all else may follow from it; then
// what is the matter with a value; then words that are missing, or too many.
#include "cli/usage.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "cli/foreign.h"

namespace anybind::cli {
namespace {

constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();

/// What a verb is given.
struct Wants {
  std::string_view verb;
  std::size_t least;
  std::size_t most;
  std::string_view words;    ///< "devices, and then a driver"
  std::string_view example;  ///< behind "anybind "
};

constexpr auto kWants = std::to_array<Wants>({
    {"show", 1, kAny, "a device", "show 03:00.0"},
    {"explain", 1, 2, "one device, and perhaps a driver", "explain 03:00.0 vfio-pci"},
    {"doctor", 0, 0, "nothing", "doctor"},
    {"bind", 2, kAny, "devices, and then a driver", "bind 03:00.0 vfio-pci"},
    {"unbind", 1, kAny, "devices", "unbind 03:00.0"},
    {"undo", 0, 1, "the number of a change, or nothing", "undo 3"},
    {"vfs", 2, 2, "a physical function, and how many virtual ones", "vfs eth0 8"},
    {"history", 0, 0, "nothing", "history"},
    {"recover", 0, 0, "nothing", "recover"},
    {"import", 1, 1, "one of driverctl, modprobe and proxmox", "import driverctl"},
    {"capture", 0, 1, "a file, or nothing", "capture machine.toml"},
    {"lab", 1, kAny, "a verb: exec, shell, mount, list, add, remove, set, load, unload or save",
     "lab exec machine.toml -- lspci"},
    {"race", 0, 2, "options, or the word replay and a token", "race replay TOKEN"},
});

constexpr auto kLabWants = std::to_array<Wants>({
    {"exec", 2, kAny, "a machine file, and a command", "lab exec machine.toml -- lspci"},
    {"shell", 1, 1, "a machine file", "lab shell machine.toml"},
    {"mount", 2, 2, "a machine file, and a directory", "lab mount machine.toml /tmp/sys"},
    {"list", 0, 0, "nothing", "lab list"},
    {"add", 1, 1, "a device, or a slot", "lab add 0000:0b:00.0"},
    {"remove", 1, 1, "a device", "lab remove 0000:0b:00.0"},
    {"set", 3, 4, "what to set, and to what", "lab set probe igb EIO"},
    {"load", 1, 1, "a module", "lab load vfio-pci"},
    {"unload", 1, 1, "a module", "lab unload vfio-pci"},
    {"save", 0, 0, "nothing", "lab save"},
});

struct Synopsis {
  std::string_view verb;
  std::string_view arguments;
};

constexpr auto kLabSynopses = std::to_array<Synopsis>({
    {"exec", "FILE -- CMD..."},
    {"shell", "FILE"},
    {"mount", "FILE DIR"},
    {"add", "DEVICE"},
    {"remove", "DEVICE"},
    {"set",
     "probe DRIVER ok|defer|ERRNO [DEVICE] | probe-time DRIVER MS | group N held|free | "
     "device DEVICE open|closed"},
    {"load", "MODULE"},
    {"unload", "MODULE"},
});

bool is_option(const std::string& word) {
  return word.size() > 1 && word.starts_with('-');
}

std::string option_name(const std::string& word) {
  return word.substr(0, word.find('='));
}

/// Options of `app` and of its verbs, with their dashes.
void add_options_of(const CLI::App& app, std::vector<std::string>& out) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  }
  for (const CLI::App* sub : app.get_subcommands(nullptr)) add_options_of(*sub, out);
}

/// -qv is -q and -v.
bool is_cluster(const CLI::App& app, const std::string& word) {
  bool takes = false;
  if (word.starts_with("--")) return knows_option(app, option_name(word), takes);
  return std::ranges::all_of(std::string_view(word).substr(1), [&](char letter) {
    return knows_option(app, std::string("-") + letter, takes);
  });
}

Error unknown_option(const std::string& whose, const std::string& word,
                     const std::vector<std::string>& known, ArgumentReader& reader,
                     const std::string& help) {
  const std::string name = option_name(word);
  const std::string why = whose.empty()
                              ? fmt::format("there is no option {}", printable(name))
                              : fmt::format("{} has no option {}", whose, printable(name));
  if (auto here = here_for_option(name); !here.empty()) return usage_error(why, std::move(here));
  const auto near = name.size() > 2 ? nearest(name, known) : std::vector<std::string>();
  if (!near.empty()) return usage_error(why, "did you mean " + join_words(near, "or") + "?");
  const auto others = reader.verbs_with(name);
  if (others.empty()) return usage_error(why, help);
  return usage_error(why, fmt::format("it is one of {}; {}", join_words(others), help));
}

struct Line {
  std::vector<std::string> words;      ///< neither options nor their values
  std::optional<std::string> unknown;  ///< the first option that nobody has
  std::optional<std::string> bare;     ///< one that has no value
};

Line read_line(const CLI::App& app, const std::vector<std::string>& args) {
  Line out;
  for (auto it = args.begin(); it != args.end(); ++it) {
    if (*it == "--") {
      out.words.insert(out.words.end(), std::next(it), args.end());
      return out;
    }
    bool takes = false;
    if (!is_option(*it)) {
      out.words.push_back(*it);
    } else if (!knows_option(app, option_name(*it), takes)) {
      if (!is_cluster(app, *it) && !out.unknown) out.unknown = *it;
    } else if (takes && !it->contains('=') && std::next(it) == args.end()) {
      out.bare = *it;
    } else if (takes && !it->contains('=')) {
      ++it;
    }
  }
  return out;
}

std::string type_of(const CLI::App& app, const std::string& option) {
  if (const CLI::Option* found = app.get_option_no_throw(option); found != nullptr)
    return found->get_type_name();
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    if (auto type = type_of(*sub, option); !type.empty()) return type;
  }
  return "";
}

/// Of "--threads" the parser says with which value it could do nothing.
Error wrong_value(const CLI::ParseError& refusal, const std::string& help) {
  std::string text = refusal.what();
  constexpr std::string_view kCould = "Could not convert: ";
  if (text.starts_with(kCould)) {
    text.erase(0, kCould.size());
    const auto equals = text.find(" = ");
    return usage_error(equals == std::string::npos
                           ? text + ": not such a value"
                           : fmt::format("{}: not a number: {}", text.substr(0, equals),
                                         printable(text.substr(equals + 3))),
                       help);
  }
  constexpr std::string_view kExcludes = " excludes ";
  if (const auto at = text.find(kExcludes); at != std::string::npos) {
    return usage_error(fmt::format("{} and {} do not go together", text.substr(0, at),
                                   text.substr(at + kExcludes.size())),
                       help);
  }
  return usage_error(printable(text, 512), help);
}

const Wants* wants_of(std::string_view verb, std::span<const std::string> words) {
  const bool lab = verb == "lab" && !words.empty();
  const std::span<const Wants> table =
      lab ? std::span<const Wants>(kLabWants) : std::span<const Wants>(kWants);
  const auto found =
      std::ranges::find(table, lab ? std::string_view(words.front()) : verb, &Wants::verb);
  return found == table.end() ? nullptr : &*found;
}

Error wrong_number(const Verb& verb, const Line& line, const std::string& help) {
  const Wants* wants = wants_of(verb.name, line.words);
  const bool lab = verb.name == "lab" && wants != nullptr && !line.words.empty();
  std::vector<std::string> given(line.words.begin() + (lab ? 1 : 0), line.words.end());
  const std::string name = lab ? "lab " + line.words.front() : std::string(verb.name);
  Error out = usage_error("", help);
  out.details.emplace_back("usage: " + synopsis(verb, line.words));
  if (wants == nullptr) {
    out.why = name + " was given words that it has no use for, or too few";
    return out;
  }
  for (std::string& word : given) word = shell_quote(printable(word));
  const std::string there =
      given.empty()
          ? ""
          : fmt::format("; there {} {}", given.size() == 1 ? "is only" : "are", join_words(given));
  if (wants->most == 0) {
    out.why = fmt::format("{} takes no words; there {} {}", name, given.size() == 1 ? "is" : "are",
                          join_words(given));
  } else if (given.size() < wants->least) {
    out.why = fmt::format("{} wants {}{}", name, wants->words, there);
  } else {
    out.why = fmt::format("{} wants {}, and no more; there {} {}", name, wants->words,
                          given.size() == 1 ? "is" : "are", join_words(given));
  }
  if (wants->least != 0) out.advice = fmt::format("for instance: anybind {}", wants->example);
  return out;
}

Error unknown_lab_verb(const std::string& name) {
  std::vector<std::string> names;
  names.reserve(kLabWants.size());
  for (const Wants& row : kLabWants) names.emplace_back(row.verb);
  const auto near = nearest(name, names);
  return usage_error(fmt::format("lab has no verb {}", printable(name)),
                     near.empty() ? "there are " + join_words(names)
                                  : "did you mean " + join_words(near, "or") + "?");
}

std::vector<std::string> global_options(std::span<const Verb> verbs) {
  std::vector<std::string> out = {"--help", "--version", "--sysfs", "--lab", "--state", "--json"};
  for (const Verb& verb : verbs) {
    CLI::App app;
    verb.setup(app);
    add_options_of(app, out);
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

/// The first of `words` that is an option of nobody.
std::optional<Error> unknown_before(std::span<const std::string> words, std::span<const Verb> verbs,
                                    ArgumentReader& reader) {
  for (const std::string& word : words) {
    if (!is_option(word) || reader.knows(option_name(word))) continue;
    return unknown_option("", word, global_options(verbs), reader, "anybind --help");
  }
  return std::nullopt;
}

}  // namespace

Error usage_error(std::string why, Remark next) {
  return {.kind = ErrorKind::kUsage, .why = std::move(why), .advice = std::move(next)};
}

std::string_view lab_arguments(std::string_view name) {
  const auto* found = std::ranges::find(kLabSynopses, name, &Synopsis::verb);
  return found == kLabSynopses.end() ? "" : found->arguments;
}

std::string synopsis(const Verb& verb, std::span<const std::string> words) {
  std::string_view arguments = verb.arguments;
  std::string name(verb.name);
  if (verb.name == "lab" && wants_of(verb.name, words) != nullptr && !words.empty()) {
    name += " " + words.front();
    arguments = lab_arguments(words.front());
  }
  return fmt::format("anybind {}{}{}", name, arguments.empty() ? "" : " ", arguments);
}

Error unknown_verb(const std::string& name, std::span<const std::string> before,
                   std::span<const Verb> verbs, ArgumentReader& reader) {
  if (auto option = unknown_before(before, verbs, reader)) return *std::move(option);
  const std::string why = fmt::format("no such verb: {}", printable(name));
  if (auto here = here_for_verb(name); !here.empty()) return usage_error(why, std::move(here));
  std::vector<std::string> names;
  names.reserve(verbs.size());
  for (const Verb& verb : verbs) names.emplace_back(verb.name);
  const auto near = nearest(name, names);
  return usage_error(
      why, near.empty() ? "anybind --help" : "did you mean " + join_words(near, "or") + "?");
}

Error no_verb(std::span<const std::string> words, std::span<const Verb> verbs,
              ArgumentReader& reader) {
  if (auto option = unknown_before(words, verbs, reader)) return *std::move(option);
  return usage_error("there is no verb, such as list or bind",
                     "anybind --help tells them; anybind list is a good beginning");
}

Error wrong_words(const Verb& verb, const CLI::App& app, const std::vector<std::string>& words,
                  const CLI::ParseError& refusal, ArgumentReader& reader) {
  const Line line = read_line(app, words);
  const std::string help = fmt::format("anybind {} --help", verb.name);
  if (line.unknown) {
    std::vector<std::string> known;
    add_options_of(app, known);
    return unknown_option(std::string(verb.name), *line.unknown, known, reader, help);
  }
  if (line.bare)
    return usage_error(fmt::format("{} wants a value: {}", *line.bare, type_of(app, *line.bare)),
                       help);
  const bool is_lab = verb.name == "lab";
  if (is_lab && !line.words.empty() && wants_of(verb.name, line.words) == nullptr)
    return unknown_lab_verb(line.words.front());
  const std::string kind = refusal.get_name();
  if (kind == "ValidationError" || kind == "ConversionError" || kind == "ExcludesError")
    return wrong_value(refusal, help);
  return wrong_number(verb, line, help);
}

}  // namespace anybind::cli
