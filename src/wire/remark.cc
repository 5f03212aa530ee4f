#include "wire/remark.h"

#include "wire/reading.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

constexpr Words<Action, 22> kActions{
    {"words",   "list",           "show",          "explain",        "bind",    "bind_group",
     "unbind",  "unbind_bridge",  "restore",       "restore_group",  "recover", "undo",
     "history", "make_functions", "check_as_root", "race",           "help",    "take_group",
     "ignore",  "allow_no_iommu", "mechanism",     "state_directory"}};
static_assert(kActions.words.size() == static_cast<std::size_t>(Action::kStateDirectory) + 1);

}  // namespace

Json texts_of(const std::vector<Remark>& remarks, Wording wording) {
  Json out = Json::array();
  for (const Remark& remark : remarks) out.push_back(wording(remark));
  return out;
}

Json to_json(const Remark& remark) {
  Json out = Json::array();
  for (const Advice& part : remark.parts) {
    if (part.action != Action::kWords) {
      out.push_back({{"action", kActions.of(part.action)}, {"operands", part.operands}});
      continue;
    }
    for (const std::string& words : part.operands) out.push_back(words);
  }
  return out;
}

Json to_json(const std::vector<Remark>& remarks) {
  Json out = Json::array();
  for (const Remark& remark : remarks) out.push_back(to_json(remark));
  return out;
}

Result<Remark> remark_from(const Value& value, const std::string& where) {
  if (!value.is_array()) return fail_at(where, "not an array");
  Remark out;
  for (const Value& part : value) {
    if (part.is_string()) {
      out += Remark(part.get<std::string>());
      continue;
    }
    const Members in = TRY(Members::of(part, where, {"action", "operands"}));
    const Action action = TRY(in.word("action", kActions));
    if (action == Action::kWords) return fail_at(in.where("action"), "unknown");
    out += Remark(action, TRY(in.texts("operands")));
  }
  return out;
}

}  // namespace anybind::wire
