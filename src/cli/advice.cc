#include "cli/advice.h"

#include <fmt/format.h>

#include "base/text.h"

namespace anybind::cli {
namespace {

/// What to type, with {} where the operands stand. Of an action that changes a request: the option
/// of that same request.
const char* form_of(Action action) {
  switch (action) {
    case Action::kWords:
      break;
    case Action::kList:
      return "anybind list{}";
    case Action::kShow:
      return "anybind show{}";
    case Action::kExplain:
      return "anybind explain{}";
    case Action::kBind:
      return "anybind bind{}";
    case Action::kBindGroup:
      return "anybind bind --group{}";
    case Action::kUnbind:
      return "anybind unbind{}";
    case Action::kUnbindBridge:
      return "anybind unbind{}, a bridge, which --group leaves alone";
    case Action::kRestore:
      return "anybind restore{}";
    case Action::kRestoreGroup:
      return "anybind restore --group{}";
    case Action::kRecover:
      return "anybind recover{}";
    case Action::kUndo:
      return "anybind undo{}";
    case Action::kHistory:
      return "anybind history{}";
    case Action::kMakeFunctions:
      return "anybind vfs{}";
    case Action::kCheckAsRoot:
      return "sudo anybind doctor{}";
    case Action::kRace:
      return "anybind race --mechanism{}";
    case Action::kHelp:
      return "anybind --help{}";
    case Action::kTakeGroup:
      return "add --group to take the whole group{}";
    case Action::kIgnore:
      return "--ignore{}";
    case Action::kAllowNoIommu:
      return "--no-iommu{}";
    case Action::kMechanism:
      return "--mechanism{}";
    case Action::kStateDirectory:
      return "--state DIR{}";
  }
  return "{}";
}

/// Each with a blank before it.
std::string words_of(const Advice& advice) {
  // One of several mechanisms is to be typed, and all of anything else.
  if (advice.action == Action::kMechanism) return " " + join_words(advice.operands, "or");
  std::string out;
  for (const std::string& operand : advice.operands) out += " " + shell_quote(operand);
  return out;
}

}  // namespace

std::string text_of(const Remark& remark) {
  std::string out;
  for (const Advice& part : remark.parts) {
    out += part.action == Action::kWords
               ? part.operands.front()
               : fmt::format(fmt::runtime(form_of(part.action)), words_of(part));
  }
  return out;
}

std::string text_in_rule(const Remark& remark) {
  std::string out;
  for (const Advice& part : remark.parts) {
    if (part.action == Action::kIgnore) {
      out += fmt::format("ignore = \"{}\" in the rule", join_words(part.operands, "or"));
    } else if (part.action == Action::kTakeGroup) {
      out += "group = \"whole\" in the rule";
    } else {
      out += text_of(Remark(part.action, part.operands));
    }
  }
  return out;
}

std::string text_elsewhere(const Remark& remark) {
  std::string out;
  for (const Advice& part : remark.parts) {
    const bool is_option = part.action == Action::kIgnore || part.action == Action::kTakeGroup ||
                           part.action == Action::kAllowNoIommu ||
                           part.action == Action::kMechanism ||
                           part.action == Action::kStateDirectory;
    if (part.action == Action::kTakeGroup) {
      out += "anybind bind --group ...";
    } else {
      out += (is_option ? "anybind bind ... " : "") + text_of(Remark(part.action, part.operands));
    }
  }
  return out;
}

std::vector<std::string> texts_of(const std::vector<Remark>& remarks) {
  std::vector<std::string> out;
  out.reserve(remarks.size());
  for (const Remark& remark : remarks) out.push_back(text_of(remark));
  return out;
}

}  // namespace anybind::cli
