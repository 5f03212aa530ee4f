// doctor: is this machine ready to give devices to user space? One verdict and one fix a line.
#include "doctor/doctor.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "engine/engine.h"
#include "wire/finding.h"

namespace anybind::cli {
namespace {

constexpr std::size_t kLongestText = 1024;  // of a text
constexpr std::size_t kVerdictWidth = 9;    // "problem" and a gap
constexpr std::size_t kLeastText = 24;      // columns; a terminal that has fewer gets no wrapping

Style style_of(Verdict verdict) {
  static constexpr std::array kStyles = {Style::kGood, Style::kDim, Style::kNotable, Style::kBad};
  return kStyles[static_cast<std::size_t>(verdict)];
}

class Report {
 public:
  Report(const Context& context, const std::vector<Finding>& findings) : color_(context.color) {
    for (const Finding& finding : findings)
      check_width_ = std::max(check_width_, finding.check.size() + 2);
    const std::size_t left = kVerdictWidth + check_width_;
    text_width_ = context.width >= left + kLeastText ? context.width - left : 0;
  }

  void add(const Finding& finding) {
    const std::string verdict(verdict_word(finding.verdict));
    out_ += styled(verdict, style_of(finding.verdict), color_);
    out_.append(kVerdictWidth - verdict.size(), ' ');
    out_ += fmt::format("{:<{}}", finding.check, check_width_);
    lines(printable(finding.what, kLongestText), "", Style::kPlain, false);
    if (finding.fix.empty()) return;
    lines(printable(text_of(finding.fix), kLongestText), "-> ", Style::kHead, true);
  }
  void add(const std::string& line) { out_ += line; }
  [[nodiscard]] const std::string& text() const { return out_; }

 private:
  /// The cursor stands where the first line's text begins, unless it is to be `indented`.
  void lines(const std::string& text, std::string_view lead, Style style, bool indented) {
    const std::size_t width = text_width_ == 0 ? 0 : text_width_ - lead.size();
    for (const std::string& line : wrapped(text, width)) {
      if (indented) out_.append(kVerdictWidth + check_width_, ' ');
      out_ += lead;
      out_ += styled(line, style, color_) + "\n";
      if (!lead.empty()) lead = "   ";
      indented = true;
    }
  }

  bool color_;
  std::size_t check_width_ = 0;
  std::size_t text_width_ = 0;  ///< 0: as wide as it needs
  std::string out_;
};

std::string summary(const std::vector<Finding>& findings) {
  const auto count = [&](Verdict verdict, std::string_view word) {
    const auto number = std::ranges::count(findings, verdict, &Finding::verdict);
    return number == 0 ? "" : fmt::format(", {} {}{}", number, word, number == 1 ? "" : "s");
  };
  return fmt::format("{} to give devices to user space{}{}\n",
                     is_ready(findings) ? "ready" : "not ready",
                     count(Verdict::kProblem, "problem"), count(Verdict::kWarning, "warning"));
}

Result<int> run_doctor(Context& context) {
  KnownChanges changes;
  const auto known = read_memory(context.session.host());
  changes.seen = known.has_value();
  if (known) changes.open = known->journal.open();
  const auto findings = examine(context.session.host(), changes);
  if (context.json) {
    answer(context, wire::to_json(findings, text_of));
    return is_ready(findings) ? 0 : 1;
  }
  Report report(context, findings);
  for (const Finding& finding : findings) {
    if (context.verbosity >= 0 || finding.verdict >= Verdict::kWarning) report.add(finding);
  }
  if (context.verbosity >= 0) report.add(summary(findings));
  put(context.out, report.text());
  return is_ready(findings) ? 0 : 1;
}

}  // namespace

Run setup_doctor(CLI::App& /*app*/) {
  return run_doctor;
}

}  // namespace anybind::cli
