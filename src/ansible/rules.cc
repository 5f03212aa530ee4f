// Rules: a file of the declared state on the host, which its service keeps without anybody's help.
// It is looked at whole, beside all other rules, before it is written; it is written before it is
// applied, so that a full disk is told while nothing has happened; and it is what it was before
// when that fails.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ansible/change_set.h"
#include "ansible/modules.h"
#include "ansible/owners.h"
#include "ansible/rule_file.h"
#include "base/try.h"
#include "cli/early.h"
#include "cli/session.h"
#include "host/storage.h"
#include "policy/lasting.h"
#include "policy/own_rules.h"
#include "policy/spec.h"

namespace anybind::ansible {
namespace {

struct File {
  RuleFolder folder;
  std::string name;    ///< "50-guests.toml"
  std::string place;   ///< "/etc/anybind.d/50-guests.toml"
  std::string before;  ///< empty: it is not there
  std::string text;    ///< empty: it shall not be there
};

/// The arguments "rules" and "overrides" as one list.
Result<Value> listed_rules(const Arguments& arguments) {
  const Value* const rules = arguments.value("rules");
  Value out = rules == nullptr ? Value::array() : *rules;
  if (!out.is_array()) return wrong("rules", "not a list of rules");
  if (const Value* const overrides = arguments.value("overrides")) {
    Value more = TRY(rules_of_overrides(*overrides, "overrides"));
    for (Value& rule : more) out.push_back(std::move(rule));
  }
  return out;
}

Result<std::string> wanted_text(const Arguments& arguments) {
  const bool is_absent = TRY(arguments.word("state", {"present", "absent"})) == "absent";
  const bool lists = arguments.has("rules") || arguments.has("overrides");
  const bool has_text = arguments.has("content");
  if (is_absent) {
    if (lists || has_text) return wrong("state", "a file that is absent has no rules");
    return std::string();
  }
  if (lists && has_text) return wrong("content", "it takes the place of rules and overrides");
  if (!lists && !has_text) return wrong("rules", "it is missing", "rules, overrides or content");
  if (lists) {
    const Value rules = TRY(listed_rules(arguments));
    return rule_file(rules, "rules");
  }
  return arguments.text("content");
}

Result<File> file_of(const Task& task) {
  const Arguments& arguments = task.arguments;
  TRY(arguments.only({"name", "rules", "overrides", "content", "state", "apply", "folder"}));
  File out;
  const std::string name = TRY(arguments.text("name", "50-ansible"));
  out.name = TRY(rule_file_name(name));
  out.text = TRY(wanted_text(arguments));
  const std::string folder = TRY(arguments.text("folder", ""));
  out.folder = TRY(open_rule_folder(task.host(), folder));
  out.place = out.folder.there.folder + "/" + out.name;
  TRY(out.folder.storage->usable());
  const auto before = out.folder.storage->read(out.name);
  if (!before) return fail(from_errno(before.error(), "read", out.place));
  out.before = before->value_or("");
  return out;
}

std::string last_part(const SpecFile& file) {
  return file.name.substr(file.name.rfind('/') + 1);
}

/// All rules that count when the file is what it shall be.
Result<Wanted> wanted_with(const Task& task, const File& file) {
  const Host& host = task.host();
  std::vector<SpecFile> files = file.folder.there.files;
  // Also one that is masked by it.
  std::erase_if(files, [&](const SpecFile& one) { return last_part(one) == file.name; });
  if (!file.text.empty()) files.push_back({.name = file.place, .text = file.text});
  std::ranges::sort(files, {}, last_part);
  const Spec written = TRY(parse_spec(files, Coverage::kAllowed));
  TRY(refuse_two_owners(host, written, file.place));
  Wanted out{.spec = TRY(parse_spec(files)), .file = file.place};
  if (file.folder.storage != host.rules) return out;  // driverctl's are this machine's
  auto of_driverctl = TRY(read_driverctl_rules(host.files));
  append_rules(out.spec, std::move(of_driverctl));
  return out;
}

Answer write_and_apply(const Task& task, const File& file, const Wanted& wanted, bool applies) {
  Answer out;
  const bool writes = file.text != file.before;
  std::optional<WrittenRules> written;
  if (writes) {
    auto done = WrittenRules::write(*file.folder.storage, file.name, file.text);
    if (!done) {
      out.fail_with(done.error());
      return out;
    }
    written = *std::move(done);
  }
  if (applies) out = apply_rules(task, wanted);
  if (out.error) {
    const auto back = written ? written->take_back() : Result<>();
    if (!back) {
      Error left = back.error();
      left.kind = ErrorKind::kIncomplete;
      out.fail_with(left);
    }
    return out;
  }
  out.changed = out.changed || writes;
  if (out.changed && file.folder.storage == task.host().rules) cli::keep_list(task.context);
  return out;
}

/// The file comes first, for who reads the diff.
void put_file_diff_first(const Arguments& arguments, const File& file, Answer& out) {
  if (!arguments.wants_diff()) return;
  wire::Json others = std::move(out.diffs);
  out.diffs = wire::Json::array();
  out.add_diff(file.place, file.before, file.text);
  for (auto& diff : others) out.diffs.push_back(std::move(diff));
}

}  // namespace

Result<Answer> run_rules(const Task& task) {
  const File file = TRY(file_of(task));
  const bool applies = TRY(task.arguments.flag("apply", true)) && !file.text.empty();
  const Wanted wanted = TRY(wanted_with(task, file));
  Answer out;
  if (!task.arguments.is_check()) {
    out = write_and_apply(task, file, wanted, applies);
  } else if (applies) {
    out = try_rules(task, wanted);
  }
  if (task.arguments.is_check() && file.text != file.before) out.changed = true;
  if (!out.error || task.arguments.is_check()) put_file_diff_first(task.arguments, file, out);
  out.more["path"] = file.place;
  return out;
}

}  // namespace anybind::ansible
