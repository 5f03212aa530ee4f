#include "base/advice.h"

#include <algorithm>
#include <utility>

namespace anybind {
namespace {

/// A new action without a name here does not compile (-Wswitch).
std::string_view name_of(Action action) {
  switch (action) {
    case Action::kWords:
      break;
    case Action::kList:
      return "list";
    case Action::kShow:
      return "show";
    case Action::kExplain:
      return "explain";
    case Action::kBind:
      return "bind";
    case Action::kBindGroup:
      return "bind the whole group of";
    case Action::kUnbind:
      return "unbind";
    case Action::kUnbindBridge:
      return "unbind the bridge";
    case Action::kRestore:
      return "restore";
    case Action::kRestoreGroup:
      return "restore the whole group of";
    case Action::kRecover:
      return "recover";
    case Action::kUndo:
      return "undo";
    case Action::kHistory:
      return "look at the history";
    case Action::kMakeFunctions:
      return "make virtual functions";
    case Action::kCheckAsRoot:
      return "check the machine as root";
    case Action::kRace:
      return "race";
    case Action::kHelp:
      return "help";
    case Action::kTakeGroup:
      return "take the whole group";
    case Action::kIgnore:
      return "ignore";
    case Action::kAllowNoIommu:
      return "allow no IOMMU";
    case Action::kMechanism:
      return "mechanism";
    case Action::kStateDirectory:
      return "another state directory";
  }
  return "";
}

}  // namespace

Remark::Remark(std::string words) {
  if (!words.empty()) parts.push_back({.operands = {std::move(words)}});
}

Remark::Remark(Action action, std::vector<std::string> operands) {
  parts.push_back({.action = action, .operands = std::move(operands)});
}

bool Remark::names(Action action) const {
  return std::ranges::find(parts, action, &Advice::action) != parts.end();
}

std::string Remark::plain() const {
  std::string out;
  for (const Advice& part : parts) {
    out += name_of(part.action);
    for (const std::string& operand : part.operands) {
      if (part.action != Action::kWords) out += " ";
      out += operand;
    }
  }
  return out;
}

Remark& Remark::operator+=(Remark more) {
  for (Advice& part : more.parts) {
    const bool is_words = part.action == Action::kWords;
    if (is_words && !parts.empty() && parts.back().action == Action::kWords) {
      parts.back().operands.front() += part.operands.front();
    } else {
      parts.push_back(std::move(part));
    }
  }
  return *this;
}

Remark operator+(Remark left, Remark right) {
  left += std::move(right);
  return left;
}

std::vector<std::string> plain(const std::vector<Remark>& remarks) {
  std::vector<std::string> out;
  out.reserve(remarks.size());
  for (const Remark& remark : remarks) out.push_back(remark.plain());
  return out;
}

}  // namespace anybind
