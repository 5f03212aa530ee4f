// What could stand at the end of a command line. The shells know nothing of anybind: they ask it.
// And it keeps no list of its own: verbs and options are those of the parser, what a verb is given
// is read from the synopsis that --help shows ("DEVICE... DRIVER", "group N held|free"), what an
// option is given is the name of its type, and the words for both are those that the code itself
// checks by.
#include "cli/complete.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "cli/arguments.h"
#include "cli/candidates.h"
#include "cli/usage.h"

namespace anybind::cli {
namespace {

/// A word of a synopsis.
struct FormWord {
  std::vector<std::string> choices;  ///< "held|free"; one that is upper case is a kind of word
  bool is_optional = false;          ///< [ID]
  bool repeats = false;              ///< DEVICE...
};
using WordForm = std::vector<FormWord>;

bool is_kind(std::string_view word) {
  return !word.empty() && word.front() >= 'A' && word.front() <= 'Z';
}

FormWord token_of(std::string word) {
  FormWord out;
  if (word.starts_with('[') && word.ends_with(']')) {
    out.is_optional = true;
    word = word.substr(1, word.size() - 2);
  }
  if (word.ends_with("...")) {
    out.repeats = true;
    word.resize(word.size() - 3);
  }
  std::istringstream parts(word);
  for (std::string part; std::getline(parts, part, '|');) out.choices.push_back(part);
  return out;
}

/// The forms of "probe DRIVER ok|defer|ERRNO [DEVICE] | probe-time DRIVER MS".
std::vector<WordForm> forms_of(std::string_view text) {
  std::vector<WordForm> out(1);
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (word == "|") {
      out.emplace_back();
    } else if (word != "--" && !word.starts_with("[-")) {
      out.back().push_back(token_of(word));
    }
  }
  return out;
}

bool word_fits(const FormWord& token, const std::string& word) {
  return std::ranges::any_of(token.choices,
                             [&](const std::string& it) { return is_kind(it) || it == word; });
}

/// What may stand behind `typed` by `form`, from its token `at` on.
void add_next(const WordForm& form, std::size_t at, std::span<const std::string> typed,
              std::set<std::string>& out) {
  if (at == form.size()) return;
  const FormWord& token = form[at];
  if (typed.empty()) {
    out.insert(token.choices.begin(), token.choices.end());
    if (token.is_optional) add_next(form, at + 1, typed, out);
    return;
  }
  if (token.is_optional) add_next(form, at + 1, typed, out);
  if (!word_fits(token, typed.front())) return;
  if (token.repeats) add_next(form, at, typed.subspan(1), out);
  add_next(form, at + 1, typed.subspan(1), out);
}

/// The line as far as it is typed.
struct TypedLine {
  std::vector<std::string> words{};       ///< without options and their values
  const CLI::Option* of_value = nullptr;  ///< the option whose value comes next
  bool only_words = false;                ///< behind --
  MachineChoice machine{};
};

const CLI::Option* option_of(const CLI::App& app, const std::string& name) {
  if (const CLI::Option* found = app.get_option_no_throw(name); found != nullptr) return found;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    if (const CLI::Option* found = option_of(*sub, name); found != nullptr) return found;
  }
  return nullptr;
}

void note_machine(MachineChoice& machine, std::string_view option, const std::string& value) {
  if (option == "--lab") machine.lab = value;
  if (option == "--sysfs") machine.sysfs = value;
  if (option == "--state") machine.state = value;
}

TypedLine read_so_far(const CLI::App& app, std::span<const std::string> words) {
  TypedLine out;
  for (const std::string& word : words) {
    if (out.of_value != nullptr) {
      note_machine(out.machine, out.of_value->get_name(), word);
      out.of_value = nullptr;
    } else if (out.only_words || !word.starts_with('-') || word == "-") {
      out.words.push_back(word);
    } else if (word == "--") {
      out.only_words = true;
    } else if (const auto equals = word.find('='); equals != std::string::npos) {
      note_machine(out.machine, word.substr(0, equals), word.substr(equals + 1));
    } else if (const CLI::Option* option = option_of(app, word);
               option != nullptr && option->get_items_expected_max() > 0) {
      out.of_value = option;
    }
  }
  return out;
}

void add_option_names(std::vector<Completion>& out, const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      out.push_back({"--" + name, option->get_description()});
  }
}

/// The verb that `app` was set up for, and of `lab` also its own verb.
struct VerbPlace {
  std::string verb;
  CLI::App* sub = nullptr;
  std::string_view arguments;
};

VerbPlace place_of(CLI::App& app, const Verb& verb, std::vector<std::string>& words) {
  VerbPlace out{.verb = std::string(verb.name), .arguments = verb.arguments};
  if (words.empty() || app.get_subcommands(nullptr).empty()) return out;
  for (CLI::App* sub : app.get_subcommands(nullptr)) {
    if (sub->get_name() == words.front()) out.sub = sub;
  }
  if (out.sub == nullptr) return out;
  out.arguments = lab_arguments(words.front());
  words.erase(words.begin());
  return out;
}

/// The value of `option`, of which `current` is typed: of a list with commas the last one.
std::vector<Completion> values_of(const CLI::Option& option, const VerbPlace& place,
                                  const MachineChoice& machine, const std::string& current) {
  std::string kind = option.get_type_name();
  if (kind == "N") return {};  // a number of threads, of orderings; N of a synopsis is a group
  const auto comma = kind.starts_with("SELECTOR") ? std::string::npos : current.rfind(',');
  const std::string before = comma == std::string::npos ? "" : current.substr(0, comma + 1);
  auto out = words_of_kind(kind, place.verb, machine, current.substr(before.size()));
  for (Completion& candidate : out) {
    if (!candidate.word.starts_with(':')) candidate.word.insert(0, before);
  }
  return out;
}

std::vector<Completion> verb_candidates(std::span<const Verb> verbs) {
  std::vector<Completion> out;
  for (const Verb& verb : verbs) out.push_back({std::string(verb.name), std::string(verb.summary)});
  out.push_back({"help", "the page of a verb"});
  return out;
}

std::vector<Completion> at_the_end(CLI::App& app, const CLI::App& globals, const Verb& verb,
                                   TypedLine& line, const std::string& current) {
  const VerbPlace place = place_of(app, verb, line.words);
  if (line.of_value != nullptr) return values_of(*line.of_value, place, line.machine, current);
  const auto equals = current.find('=');
  if (!line.only_words && current.starts_with("--") && equals != std::string::npos) {
    const CLI::Option* option = option_of(app, current.substr(0, equals));
    if (option == nullptr) return {};
    auto out = values_of(*option, place, line.machine, current.substr(equals + 1));
    for (Completion& candidate : out) {
      if (!candidate.word.starts_with(':')) candidate.word.insert(0, current.substr(0, equals + 1));
    }
    return out;
  }
  std::vector<Completion> out;
  if (!line.only_words && current.starts_with('-')) {
    add_option_names(out, place.sub == nullptr ? app : *place.sub);
    add_option_names(out, globals);
    return out;
  }
  if (place.sub == nullptr && !app.get_subcommands(nullptr).empty()) {
    for (const CLI::App* sub : app.get_subcommands(nullptr)) {
      if (!sub->get_group().empty()) out.push_back({sub->get_name(), sub->get_description()});
    }
    return out;
  }
  std::set<std::string> kinds;
  for (const WordForm& form : forms_of(place.arguments)) add_next(form, 0, line.words, kinds);
  for (const std::string& kind : kinds) {
    if (!is_kind(kind)) {
      out.push_back({kind, ""});
      continue;
    }
    auto words = words_of_kind(kind, place.verb, line.machine, current);
    std::ranges::move(words, std::back_inserter(out));
  }
  return out;
}

}  // namespace

void complete(std::span<const std::string> words, std::span<const Verb> verbs,
              ArgumentReader& reader, void (*add_globals)(CLI::App& app)) {
  if (words.empty()) return;
  const std::string& current = words.back();
  std::vector<std::string> before(words.begin(), std::prev(words.end()));
  CLI::App globals;
  add_globals(globals);
  const auto [name, rest] = reader.split(before);
  std::vector<Completion> found;
  const auto verb = std::ranges::find(verbs, name.value_or(""), &Verb::name);
  if (verb != verbs.end()) {
    CLI::App app;
    (void)verb->setup(app);
    add_globals(app);
    TypedLine line = read_so_far(app, rest);
    found = at_the_end(app, globals, *verb, line, current);
  } else if (!name || *name == "help") {
    constexpr Verb kNone{.name = "", .arguments = "", .summary = "", .setup = nullptr};
    CLI::App app;
    add_globals(app);
    TypedLine line = read_so_far(app, rest);
    const bool wants_more = line.of_value != nullptr || current.starts_with('-');
    found = wants_more ? at_the_end(app, CLI::App(), kNone, line, current) : verb_candidates(verbs);
    if (current.starts_with('-')) found.push_back({"--version", "the version"});
  }
  print_candidates(found, current);
}

}  // namespace anybind::cli
