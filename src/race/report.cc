#include "race/report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/text.h"
#include "base/try.h"

namespace anybind::race {
namespace {

using nlohmann::ordered_json;

std::string pairs_text(const Table& table) {
  std::string out = "\nTwo at once, where the mechanism survives both singly:\n";
  for (const Mechanism* mechanism : table.mechanisms) {
    if (mechanism->is_policy) continue;
    std::size_t safe = 0;
    std::size_t all = 0;
    std::string broken;
    for (const Cell& cell : table.pairs) {
      if (cell.of.mechanism != mechanism) continue;
      ++all;
      if (cell.safe() && cell.complete) ++safe;
      if (!cell.safe() || !cell.complete) {
        broken += fmt::format("    {:<4} {}\n", cell_text(cell), names_of(cell));
      }
    }
    out += fmt::format("  {:<20} {} of {} safe\n{}", mechanism->name, safe, all, broken);
  }
  return out;
}

/// "linux-6.12", or the name of a proposal that is tried on that kernel.
std::string kernel_of(const Mechanism& mechanism, KernelVersion kernel) {
  const auto profile = profile_of(mechanism, kernel);
  CHECK(profile, "a row is only there for a kernel that has what it needs");
  return profile->name;
}

ordered_json json_of(const Cell& cell) {
  ordered_json out;
  out["mechanism"] = cell.of.mechanism->name;
  for (const Scenario* scenario : cell.of.scenarios) out["scenarios"].push_back(scenario->name);
  out["verdict"] = !cell.safe() ? "broken" : cell.complete ? "safe" : "not exhausted";
  out["cell"] = cell_text(cell);
  out["orderings"] = cell.orderings;
  out["points"] = cell.points;
  out["runs"] = cell.runs;
  out["steps"] = cell.steps;
  out["exhausted"] = cell.complete;
  for (unsigned i = 0; i < kPromises; ++i) {
    ordered_json promise;
    promise["danger_met"] = cell.danger.at(i);
    promise["broken"] = cell.broken.at(i).orderings;
    if (!cell.broken.at(i).token.empty()) {
      promise["steps"] = cell.broken.at(i).steps;
      promise["token"] = cell.broken.at(i).token;
    }
    if (!cell.mended.at(i).token.empty()) {
      promise["mended"] = cell.mended.at(i).orderings;
      promise["mended_token"] = cell.mended.at(i).token;
    }
    out["promises"][std::string(1, properties().at(i).letter)] = std::move(promise);
  }
  return out;
}

/// The drivers that changed between two texts of the same form.
std::vector<std::string> split_drivers(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(", ", at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 2;
  }
  return out;
}

std::string changes(const std::string& before, const std::string& after) {
  if (after.empty()) return "";
  const auto old = split_drivers(before);
  const auto now = split_drivers(after);
  std::string out;
  for (const std::string& each : now) {
    if (std::ranges::find(old, each) == old.end()) out += (out.empty() ? "" : ", ") + each;
  }
  for (const std::string& each : old) {
    const std::string name = each.substr(0, each.find(' '));
    const auto same = [&](const std::string& text) { return text.starts_with(name + " "); };
    if (std::ranges::none_of(now, same)) out += (out.empty() ? "" : ", ") + name + " gone";
  }
  return out;
}

/// "echo vfio-pci > ../driver_override" is enough in a narrow column.
std::string shorter(std::string text) {
  for (const std::string_view lead : {"bus/pci/devices/0000:", "bus/pci/drivers/", "bus/pci/"}) {
    const auto at = text.find(lead);
    if (at != std::string::npos) text.erase(at, lead.size());
  }
  return text;
}

bool is_reading(const Story::Line& line) {
  return line.text.starts_with("read ") || line.text.starts_with("open ") ||
         line.text.starts_with("ls ") || line.text.starts_with("readlink ");
}

/// Reads that nobody came between say nothing.
std::vector<Story::Line> told_lines(const Story& story) {
  std::vector<Story::Line> out;
  for (const Story::Line& line : story.lines) {
    if (is_reading(line)) {
      if (!out.empty() && is_reading(out.back()) && out.back().actor == line.actor) {
        out.back().text = "looks";
        continue;
      }
      if (!out.empty() && out.back().text == "looks" && out.back().actor == line.actor) continue;
    }
    out.push_back(line);
  }
  for (Story::Line& line : out) {
    if (is_reading(line)) line.text = "looks";
  }
  return out;
}

std::vector<std::string> wrapped(std::string text, std::size_t width) {
  std::vector<std::string> out;
  while (text.size() > width) {
    auto cut = text.rfind(' ', width);
    if (cut == std::string::npos || cut == 0) cut = width;
    out.push_back(text.substr(0, cut));
    text.erase(0, cut);
    if (text.starts_with(' ')) text.erase(0, 1);
    text.insert(0, "  ");
  }
  out.push_back(std::move(text));
  return out;
}

std::string ending_of(const Story& story) {
  std::string out;
  for (const unsigned promise : story.broken) {
    out += fmt::format("broken: {} - {}\n", properties().at(promise).letter,
                       properties().at(promise).promise);
  }
  for (const unsigned promise : story.mended) {
    out += fmt::format("broken for a moment, put right and reported: {} - {}\n",
                       properties().at(promise).letter, properties().at(promise).promise);
  }
  if (out.empty()) out = "no promise is broken\n";
  return out;
}

std::string scenario_names(const Setting& setting) {
  std::string out;
  for (const Scenario* scenario : setting.of.scenarios) {
    out += (out.empty() ? "" : " + ") + std::string(scenario->summary);
  }
  return out;
}

/// "linux-6.12", "linux-7.3 with vfio-bind".
std::string kernel_words(const Question& question) {
  const std::string version = "linux-" + question.kernel.str();
  const std::string profile = kernel_of(*question.mechanism, question.kernel);
  return version + (profile == version ? "" : " with " + profile);
}

/// "linux-6.12; vfio-pci registered first".
std::string order_of(const Setting& setting) {
  return fmt::format("{}; {} registered first{}", kernel_words(setting.of),
                     setting.target_first ? kTarget : kHost,
                     setting.host_is_async ? fmt::format("; {} probes asynchronously", kHost) : "");
}

/// One word a column: "  rmm  target-unload  the target driver's module is unloaded".
void add_meaning(std::string& out, const std::string& left, std::string_view right) {
  constexpr std::size_t kWidth = 80;
  std::string before = left + " ";
  std::string rest(right);
  while (true) {
    const std::size_t room = kWidth - before.size();
    const auto cut = rest.size() <= room ? std::string::npos : rest.rfind(' ', room);
    out += before + rest.substr(0, cut) + "\n";
    if (cut == std::string::npos) return;
    rest.erase(0, cut + 1);
    before.assign(left.size() + 1, ' ');
  }
}

std::string legend() {
  std::string out;
  for (const Property& property : properties()) {
    add_meaning(out, fmt::format("  {} ", property.letter), property.promise);
  }
  return out;
}

/// Padded by what is seen: colours take no room.
std::string field_text(const Cell& cell, const TableForm& form) {
  const std::string text = cell_text(cell);
  const std::string shown = form.paint ? form.paint(text, verdict_of(cell)) : text;
  return shown + std::string(text.size() < 3 ? 3 - text.size() : 0, ' ');
}

/// The table in parts of as many columns as fit, all of about the same width.
std::string grid_text(const Table& table, const TableForm& form) {
  constexpr std::size_t kName = 20;
  constexpr std::size_t kField = 4;
  const std::size_t all = table.scenarios.size();
  std::size_t fit = all;
  if (form.width != 0) fit = std::max<std::size_t>(1, (std::max(form.width, 30U) - kName) / kField);
  const std::size_t parts = (all + fit - 1) / fit;
  const std::size_t each = parts == 0 ? 0 : (all + parts - 1) / parts;
  std::string out;
  for (std::size_t first = 0; first < all; first += each) {
    const std::size_t last = std::min(all, first + each);
    out += first == 0 ? "" : "\n";
    out += fmt::format("{:<{}}", "", kName);
    for (std::size_t at = first; at < last; ++at)
      out += fmt::format(" {:<3}", table.scenarios[at]->head);
    out += "\n";
    for (std::size_t row = 0; row < table.mechanisms.size(); ++row) {
      out += fmt::format("{:<{}}", table.mechanisms[row]->name, kName);
      for (std::size_t at = first; at < last; ++at)
        out += " " + field_text(table.at(row, at), form);
      out += "\n";
    }
  }
  return out;
}

/// Where there are too many, how to get them.
std::string tokens_text(const Table& table, bool all) {
  constexpr std::size_t kFew = 20;
  std::string out;
  std::size_t count = 0;
  for (const Cell& cell : table.cells) {
    const auto worst = cell.worst();
    if (!worst) continue;
    ++count;
    out += fmt::format("    {:<4} {}\n", cell_text(cell), cell.broken.at(*worst).token);
  }
  if (count == 0) return "";
  if (count > kFew && !all) {
    return "Each letter has a counterexample, told by anybind race replay TOKEN. For the\n"
           "tokens ask for a row or a column (--mechanism new_id, --scenario kill), or -v.\n";
  }
  return "Counterexamples, each told by anybind race replay TOKEN\n" + out;
}

std::string without_trailing_blanks(const std::string& text) {
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
    begin = end + 1;
  }
  return out;
}

}  // namespace

std::string text_of(const Table& table, const TableForm& form) {
  std::string out = grid_text(table, form);
  out +=
      "\nB7: promise B can be broken; the shortest counterexample has 7 steps. ok: all\n"
      "promises are kept in every ordering. ok*: one is broken for a moment, put right\n"
      "and reported. -: kept, and nothing put it to the test.\n\n";
  out += kernel_text(table.kernel) + "\nPromises\n";
  out += legend() + "\nColumns: what else happens meanwhile\n";
  for (const Scenario* scenario : table.scenarios)
    add_meaning(out, fmt::format("  {}  {:<14}", scenario->head, scenario->name),
                scenario->summary);
  out += "\nRows: what is written, in this order, and in brackets who does so\n";
  for (const Mechanism* mechanism : table.mechanisms)
    add_meaning(out, fmt::format("  {:<19}", mechanism->name), mechanism->summary);
  out += "\n" + tokens_text(table, form.all_tokens);
  if (!table.pairs.empty()) out += pairs_text(table);
  return without_trailing_blanks(out);
}

ordered_json json_of(const Table& table) {
  ordered_json out;
  out["kernel"] = "linux-" + table.kernel.str();
  for (const Property& property : properties()) {
    out["promises"].push_back({{"letter", std::string(1, property.letter)},
                               {"name", property.name},
                               {"promise", property.promise},
                               {"danger", property.danger}});
  }
  for (const Mechanism* mechanism : table.mechanisms) {
    out["mechanisms"].push_back({{"name", mechanism->name},
                                 {"kernel", kernel_of(*mechanism, table.kernel)},
                                 {"summary", mechanism->summary}});
  }
  for (const Scenario* scenario : table.scenarios) {
    out["scenarios"].push_back({{"name", scenario->name}, {"summary", scenario->summary}});
  }
  out["cells"] = ordered_json::array();
  for (const Cell& cell : table.cells) out["cells"].push_back(json_of(cell));
  out["pairs"] = ordered_json::array();
  for (const Cell& cell : table.pairs) out["pairs"].push_back(json_of(cell));
  return out;
}

std::string text_of(const Story& story) {
  constexpr std::size_t kColumn = 38;
  std::string out = fmt::format("{}: {}\nwhile {}; {}\n\n{:<38} {:<38}\n{:-<38} {:-<38}\n",
                                story.setting.of.mechanism->name,
                                story.setting.of.mechanism->summary, scenario_names(story.setting),
                                order_of(story.setting), "the administrator", "the others", "", "");
  out += fmt::format("  at first: {}\n", story.before);
  std::string before = story.before;
  for (const Story::Line& line : told_lines(story)) {
    std::string text = shorter(line.text);
    if (!line.by_tool) text.insert(0, line.actor + ": ");
    if (!line.answer.empty()) text += " = " + line.answer;
    for (const std::string& part : wrapped(text, kColumn)) {
      out += line.by_tool ? part + "\n" : fmt::format("{:<38} {}\n", "", part);
    }
    const std::string changed = changes(before, line.drivers);
    if (!line.drivers.empty()) before = line.drivers;
    if (!changed.empty()) out += fmt::format("  => {}\n", changed);
  }
  return out + "\n" + ending_of(story);
}

ordered_json json_of(const Story& story, const std::string& token) {
  ordered_json out;
  out["token"] = token;
  out["mechanism"] = story.setting.of.mechanism->name;
  for (const Scenario* scenario : story.setting.of.scenarios) {
    out["scenarios"].push_back(scenario->name);
  }
  out["kernel"] = kernel_words(story.setting.of);
  out["target_first"] = story.setting.target_first;
  out["host_is_async"] = story.setting.host_is_async;
  out["variants"] = story.setting.variants;
  out["before"] = story.before;
  for (const Story::Line& line : story.lines) {
    out["lines"].push_back({{"actor", line.actor},
                            {"does", line.text},
                            {"answer", line.answer},
                            {"interrupted", line.interrupted},
                            {"drivers", line.drivers}});
  }
  out["over"] = story.over;
  out["broken"] = ordered_json::array();
  for (const unsigned promise : story.broken) {
    out["broken"].push_back(std::string(1, properties().at(promise).letter));
  }
  out["mended"] = ordered_json::array();
  for (const unsigned promise : story.mended) {
    out["mended"].push_back(std::string(1, properties().at(promise).letter));
  }
  return out;
}

std::string script_of(const Story& story, const std::string& token) {
  std::string out =
      fmt::format("#!/bin/sh\n# anybind race replay {}\n# kernel: {}\ncd /sys || exit\n", token,
                  order_of(story.setting));
  std::string before = story.before;
  for (const Story::Line& line : told_lines(story)) {
    if (line.text != "looks" && line.text != "(goes on)") {
      const auto pause = line.text.find(" ... ");
      const std::string what = line.text.substr(0, pause);
      const bool is_write = what.starts_with("echo ");
      out += is_write ? what : fmt::format("# >>> now: {}", what);
      if (!line.by_tool && is_write) out += fmt::format("  # {}", line.actor);
      if (!line.answer.empty()) out += fmt::format("  # fails: {}", line.answer);
      out += "\n";
      if (line.interrupted && pause != std::string::npos) {
        out += fmt::format("#     stop it here: {}\n", line.text.substr(pause + 5));
      }
    } else if (line.text == "(goes on)") {
      out += fmt::format("# >>> now: {} goes on\n", line.actor);
    }
    const std::string changed = changes(before, line.drivers);
    if (!line.drivers.empty()) before = line.drivers;
    if (!changed.empty()) out += fmt::format("#     => {}\n", changed);
  }
  for (std::size_t at = 0; const unsigned promise : story.broken) {
    out += fmt::format("{}{}: {}\n", at++ == 0 ? "# broken: " : "#         ",
                       properties().at(promise).letter, properties().at(promise).promise);
  }
  return out;
}

}  // namespace anybind::race
