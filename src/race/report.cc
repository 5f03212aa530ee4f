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

constexpr std::size_t kExact = 1'000'000;

std::string count_text(double count) {
  if (count < static_cast<double>(kExact)) return fmt::format("{:.0f}", count);
  return fmt::format("{:.1e}", count);
}

/// "B17": the promise and the steps to it. "ok", "ok*" for one that was mended and said, "-" where
/// no danger was met.
std::string cell_text(const Cell& cell) {
  if (const auto worst = cell.worst()) {
    return fmt::format("{}{}", properties().at(*worst).letter, cell.broken.at(*worst).steps);
  }
  const bool mended =
      std::ranges::any_of(cell.mended, [](const auto& finding) { return !finding.token.empty(); });
  if (!cell.complete) return "?";
  if (mended) return "ok*";
  return cell.was_tried() ? "ok" : "-";
}

std::string names_of(const Cell& cell) {
  std::string out;
  for (const Scenario* scenario : cell.of.scenarios) {
    out += fmt::format("{}{}", out.empty() ? "" : " + ", scenario->name);
  }
  return out;
}

std::string pairs_text(const Table& table) {
  std::string out = "\nTwo at once, where the mechanism survives both singly:\n";
  for (const Mechanism* mechanism : table.mechanisms) {
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

std::string verdict_of(const Story& story) {
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

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

constexpr std::string_view kStyle =
    "body{font:15px/1.45 sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.25em "
    ".5em;text-align:left;vertical-align:top}td.ok{background:#dff0d8}td.bad{background:#f8d7da}"
    "td.mended{background:#fcf3cf}td.none{background:#f4f4f4}pre{background:#f6f6f6;padding:.7em;"
    "overflow-x:auto;font-size:13px}a{color:#03c}h3{margin-top:2em}";

std::string_view css_class(const std::string& cell) {
  if (cell == "ok") return "ok";
  if (cell == "ok*") return "mended";
  if (cell == "-" || cell == "?") return "none";
  return "bad";
}

std::string anchor(const Cell& cell) {
  std::string out(cell.of.mechanism->name);
  for (const Scenario* scenario : cell.of.scenarios) out += fmt::format("-{}", scenario->name);
  return out;
}

Result<std::string> html_stories(const Cell& cell) {
  std::string out;
  for (unsigned i = 0; i < kPromises; ++i) {
    const auto& broken = cell.broken.at(i);
    const auto& finding = broken.token.empty() ? cell.mended.at(i) : broken;
    if (finding.token.empty()) continue;
    const Story story = TRY(replay(finding.token));
    if (out.empty()) {
      out = fmt::format("<h3 id=\"{}\">{}: {}</h3>\n", escaped(anchor(cell)),
                        escaped(cell.of.mechanism->name), escaped(names_of(cell)));
    }
    out += fmt::format(
        "<p><b>{}</b>: {}. In {} of {} orderings.</p>\n<pre>{}</pre>\n<details><summary>as a "
        "script</summary><pre>{}</pre></details>\n",
        properties().at(i).letter, escaped(properties().at(i).promise),
        count_text(finding.orderings), count_text(cell.orderings), escaped(text_of(story)),
        escaped(script_of(story, finding.token)));
  }
  return out;
}

std::string html_table(const Table& table) {
  std::string out = "<table>\n<tr><th></th>";
  for (const Scenario* scenario : table.scenarios) {
    out += fmt::format("<th title=\"{}\">{}</th>", escaped(scenario->summary),
                       escaped(scenario->name));
  }
  out += "</tr>\n";
  for (std::size_t row = 0; row < table.mechanisms.size(); ++row) {
    const Mechanism& mechanism = *table.mechanisms[row];
    out += fmt::format("<tr><th title=\"{}\">{}</th>", escaped(mechanism.summary),
                       escaped(mechanism.name));
    for (std::size_t column = 0; column < table.scenarios.size(); ++column) {
      const Cell& cell = table.at(row, column);
      const std::string text = cell_text(cell);
      const bool linked = css_class(text) == "bad" || css_class(text) == "mended";
      const std::string shown =
          linked ? fmt::format("<a href=\"#{}\">{}</a>", escaped(anchor(cell)), text) : text;
      out += fmt::format("<td class=\"{}\">{}</td>", css_class(text), shown);
    }
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

std::string legend() {
  std::string out;
  for (const Property& property : properties()) {
    out += fmt::format("  {}  {}\n", property.letter, property.promise);
  }
  return out;
}

std::string kernel_text(KernelVersion kernel) {
  std::string out = fmt::format(
      "On Linux {}. A mechanism that was only proposed: on that kernel, with the proposal\nin the "
      "place of driver_override.\n",
      kernel.str());
  for (const Mechanism& mechanism : mechanisms()) {
    if (!profile_of(mechanism, kernel))
      out += fmt::format("No row {}: that kernel has no driver_override.\n", mechanism.name);
  }
  return out;
}

}  // namespace

std::string text_of(const Table& table) {
  std::string out = fmt::format("{:<20}", "");
  for (const Scenario* scenario : table.scenarios) out += fmt::format(" {:<3}", scenario->head);
  out += "\n";
  for (std::size_t row = 0; row < table.mechanisms.size(); ++row) {
    out += fmt::format("{:<20}", table.mechanisms[row]->name);
    for (std::size_t column = 0; column < table.scenarios.size(); ++column) {
      out += fmt::format(" {:<3}", cell_text(table.at(row, column)));
    }
    out += "\n";
  }
  out +=
      "\nA letter: that promise is broken, in so many steps at least. ok: all are kept in every "
      "ordering.\nok*: broken for a moment, put right and reported. -: kept, and nothing put it to "
      "the test.\n\n";
  out += kernel_text(table.kernel) + "\n";
  out += legend() + "\n";
  for (const Scenario* scenario : table.scenarios) {
    out += fmt::format("  {}  {:<14} {}\n", scenario->head, scenario->name, scenario->summary);
  }
  if (!table.pairs.empty()) out += pairs_text(table);
  std::string lines;
  std::size_t begin = 0;
  while (begin < out.size()) {  // no blanks at the ends of lines
    const auto end = out.find('\n', begin);
    std::string line = out.substr(begin, end - begin);
    while (line.ends_with(' ')) line.pop_back();
    lines += line + "\n";
    begin = end + 1;
  }
  return lines;
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

Result<std::string> html_of(const Table& table) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>anybind "
      "race</title><style>{}</style></head><body>\n<h1>Which mechanism breaks which promise</h1>\n"
      "<p>Every ordering of the steps of the code that binds, of the modelled kernel and of what "
      "happens beside, on Linux {}. A letter: that promise is broken, in so many steps at least. "
      "ok*: broken for a moment, put right and reported. -: nothing put it to the test.</p>\n",
      kStyle, table.kernel.str());
  out += html_table(table);
  out += "<pre>" + escaped(legend()) + "</pre>\n<h2>Counterexamples</h2>\n";
  for (const Cell& cell : table.cells) out += TRY(html_stories(cell));
  for (const Cell& cell : table.pairs) out += TRY(html_stories(cell));
  return out + "</body></html>\n";
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
  return out + "\n" + verdict_of(story);
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
