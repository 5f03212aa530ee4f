// The page of `race --html`. It is read on a telephone, printed and sent to people who have no
// anybind: all that it means stands in it, nothing is told by pointing at it alone, and it loads
// nothing.
#include "race/page.h"

#include <fmt/format.h>

#include "base/try.h"
#include "race/field.h"
#include "race/report.h"

namespace anybind::race {
namespace {

/// "12345", "about 170 million": nobody reads more of it.
std::string count_text(double count) {
  constexpr double kMillion = 1e6;
  if (count < kMillion) return fmt::format("{:.0f}", count);
  if (count < 1e9) return fmt::format("about {:.0f} million", count / kMillion);
  if (count < 1e12) return fmt::format("about {:.0f} billion", count / 1e9);
  return fmt::format("about {:.0e}", count);
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
    "body{font:16px/1.5 sans-serif;margin:1em auto;max-width:75em;padding:0 1em;color:#222}"
    "h1{font-size:1.5em}.wide{overflow-x:auto}table{border-collapse:collapse;margin:.5em 0;"
    "font-size:.875em}td,th{border:1px solid #ccc;padding:.25em .4em;text-align:left;"
    "vertical-align:top;font-weight:normal}tr:first-child th{font-weight:bold}"
    ".grid th:first-child{position:sticky;left:0;background:#fff;white-space:nowrap}"
    ".grid td{text-align:center}td.ok{background:#dff0d8}td.bad{background:#f8d7da}"
    "td.mended{background:#fcf3cf}td.none{background:#f4f4f4}"
    "dt{font-weight:bold;float:left;clear:left;min-width:11em}dd{margin:0 0 .2em 11em}"
    "dl.short dt{min-width:2em}dl.short dd{margin-left:2em}"
    "pre{background:#f6f6f6;padding:.7em;overflow-x:auto;font-size:.8em}a{color:#03c}"
    "h3{margin-top:1.5em}@media(max-width:40em){body{font-size:15px}dt{float:none}"
    "dd{margin-left:1em}}@media print{body{max-width:none;font-size:9pt}"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}.wide,pre{overflow:visible}"
    "pre{white-space:pre-wrap}h3,tr,dd{break-inside:avoid}a{color:inherit;text-decoration:none}"
    ".grid th:first-child{position:static}}";

std::string_view css_class(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSafe:
      return "ok";
    case Verdict::kMended:
      return "mended";
    case Verdict::kBroken:
      return "bad";
    case Verdict::kUntested:
      break;
  }
  return "none";
}

std::string anchor(const Cell& cell) {
  std::string out(cell.of.mechanism->name);
  for (const Scenario* scenario : cell.of.scenarios) out += fmt::format("-{}", scenario->name);
  return out;
}

bool has_story(const Cell& cell) {
  const Verdict verdict = verdict_of(cell);
  return verdict == Verdict::kBroken || verdict == Verdict::kMended;
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
        "<p><b>{}</b>: {}. In {} of {} orderings. <code>anybind race replay {}</code></p>\n"
        "<pre>{}</pre>\n<details><summary>as a script</summary><pre>{}</pre></details>\n",
        properties().at(i).letter, escaped(properties().at(i).promise),
        count_text(finding.orderings), count_text(cell.orderings), escaped(finding.token),
        escaped(text_of(story)), escaped(script_of(story, finding.token)));
  }
  return out;
}

/// The heads are short, so that the table fits; the lists below it say what they are.
std::string html_table(const Table& table) {
  std::string out = "<div class=\"wide\"><table class=\"grid\">\n<tr><th></th>";
  for (const Scenario* scenario : table.scenarios) {
    out +=
        fmt::format("<th><a href=\"#column-{0}\" title=\"{1}\">{2}</a></th>",
                    escaped(scenario->name), escaped(scenario->summary), escaped(scenario->head));
  }
  out += "</tr>\n";
  for (std::size_t row = 0; row < table.mechanisms.size(); ++row) {
    const Mechanism& mechanism = *table.mechanisms[row];
    out += fmt::format("<tr><th><a href=\"#row-{0}\" title=\"{1}\">{0}</a></th>",
                       escaped(mechanism.name), escaped(mechanism.summary));
    for (std::size_t column = 0; column < table.scenarios.size(); ++column) {
      const Cell& cell = table.at(row, column);
      const std::string text = cell_text(cell);
      const std::string shown =
          has_story(cell) ? fmt::format("<a href=\"#{}\">{}</a>", escaped(anchor(cell)), text)
                          : text;
      out += fmt::format("<td class=\"{}\">{}</td>", css_class(verdict_of(cell)), shown);
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string html_meanings(const Table& table) {
  std::string out = "<h2>Promises</h2>\n<dl class=\"short\">\n";
  for (const Property& property : properties())
    out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", property.letter, escaped(property.promise));
  out += "</dl>\n<h2>Columns: what else happens meanwhile</h2>\n<dl>\n";
  for (const Scenario* scenario : table.scenarios) {
    out += fmt::format("<dt id=\"column-{0}\">{1}, {0}</dt><dd>{2}</dd>\n", escaped(scenario->name),
                       escaped(scenario->head), escaped(scenario->summary));
  }
  out += "</dl>\n<h2>Rows: what is written, in this order, and who does so</h2>\n<dl>\n";
  for (const Mechanism* mechanism : table.mechanisms) {
    out += fmt::format("<dt id=\"row-{0}\">{0}</dt><dd>{1}</dd>\n", escaped(mechanism->name),
                       escaped(mechanism->summary));
  }
  return out + "</dl>\n";
}

/// One line a row, since there are a hundred.
std::string html_contents(const Table& table) {
  std::string out = "<ul>\n";
  const Mechanism* row = nullptr;
  for (const Cell& cell : table.cells) {
    if (!has_story(cell)) continue;
    if (row != cell.of.mechanism) {
      out += fmt::format("{}<li>{}:", row == nullptr ? "" : "</li>\n",
                         escaped(cell.of.mechanism->name));
    }
    row = cell.of.mechanism;
    out += fmt::format(" <a href=\"#{}\">{}</a>", escaped(anchor(cell)), escaped(names_of(cell)));
  }
  return out + (row == nullptr ? "" : "</li>\n") + "</ul>\n";
}

}  // namespace

Result<std::string> html_of(const Table& table, const Made& made) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>anybind race: Linux {0}</title><style>"
      "{1}</style></head><body>\n<h1>Which way to bind breaks which promise: Linux {0}</h1>\n"
      "<p>Made by {2} on {3}. It explored every ordering of the steps of the code that binds, of "
      "the "
      "modelled kernel and of what happens beside.</p>\n<p><b>B7</b>: promise B can be broken; the "
      "shortest counterexample has 7 steps. <b>ok</b>: all promises are kept in every ordering. "
      "<b>ok*</b>: one is broken for a moment, put right and reported. <b>-</b>: kept, and nothing "
      "put it to the test.</p>\n<p>{4}</p>\n",
      table.kernel.str(), kStyle, escaped(made.version), escaped(made.date),
      escaped(kernel_text(table.kernel)));
  out += html_table(table) + html_meanings(table);
  out += "<h2>Counterexamples</h2>\n" + html_contents(table);
  for (const Cell& cell : table.cells) out += TRY(html_stories(cell));
  for (const Cell& cell : table.pairs) out += TRY(html_stories(cell));
  return out + "</body></html>\n";
}

}  // namespace anybind::race
