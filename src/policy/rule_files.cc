// People look at files of rules and write them by way of the service, which is root. So nothing is
// shown that they could not read themselves, no link is followed, and what is written is looked at
// together with everything else that counts: one broken file would keep all of them from counting.
#include "policy/rule_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "policy/named_specs.h"
#include "policy/rule_text.h"

namespace anybind {
namespace {

constexpr std::string_view kEnding = ".toml";
constexpr std::size_t kMostNameBytes = 200;

using From = RuleFile::From;
using FileState = RuleFile::State;

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

/// A path below the root of a machine's files, and of this machine where it was named.
struct Folder {
  Proc root;
  std::string path;
  bool is_named = false;  ///< who has named it vouches for what is there

  [[nodiscard]] std::string path_of(std::string_view file) const {
    return fmt::format("{}/{}", path, file);
  }
};

Folder folder_of(const std::string& named) {
  std::error_code ignored;
  std::string full = std::filesystem::absolute(named, ignored).lexically_normal();
  while (full.size() > 1 && full.ends_with('/')) full.pop_back();
  return {.root = Proc("/"), .path = full.substr(1), .is_named = true};
}

bool is_directory(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

Error nowhere_to_write() {
  return {.kind = ErrorKind::kUsage,
          .why = "there is no directory of rules to write to",
          .advice = "let anybindd have a directory of rules"};
}

/// The folder where rules are written.
Result<Folder> own_folder(const Host& host, const RuleSource& source) {
  const auto named = std::ranges::find_if(source.named, is_directory);
  if (named != source.named.end()) return folder_of(*named);
  if (source.named.empty() && !host.rules_dir.empty())
    return Folder{.root = host.files, .path = kRuleFolders[0]};
  return fail(nowhere_to_write());
}

Reply<std::vector<std::string>> names_in(const Folder& folder) {
  auto names = folder.root.list(folder.path);
  if (!names && (names.error().value == ENOENT || names.error().value == ENOTDIR))
    return std::vector<std::string>();
  if (!names) return names;
  std::erase_if(*names, [](const std::string& name) {
    return !name.ends_with(kEnding) || name.starts_with('.');
  });
  std::ranges::sort(*names);
  return names;
}

bool is_file(const Folder& folder, const std::string& path) {
  const auto status = folder.root.status(path);
  return status && (status->mode & S_IFMT) == S_IFREG;
}

/// Others than root may, as far as the mode of this file or folder goes.
bool lets_others(const Folder& folder, const std::string& path, std::uint32_t permission) {
  const auto status = folder.root.status(path);
  return status && (status->mode & permission) != 0;
}

/// It can be handed to others as it is.
bool is_text(std::string_view text) {
  while (!text.empty()) {
    const auto character = first_character(text);
    if (character.length == 0 || character.value == 0) return false;
    text.remove_prefix(character.length);
  }
  return true;
}

/// Fills in the text, or why it is not shown.
void show(const Folder& folder, std::string_view file, Reader reader, RuleFile& out) {
  const std::string path = folder.path_of(file);
  for (const std::string& part : {folder.path, path}) {
    const auto trust = check_trust(folder.root, part);
    if (trust) continue;
    if (!folder.is_named) out.state = FileState::kRefused;
    out.why = part == path ? trust.error().why
                           : fmt::format("its folder is not believed: {}", trust.error().why);
    return;
  }
  if (!is_file(folder, path)) {
    out.why = "it is no file";
  } else if (reader == Reader::kAnybody &&
             !(lets_others(folder, path, S_IROTH) && lets_others(folder, folder.path, S_IXOTH))) {
    out.why = "only root may read it";
  } else if (auto text = folder.root.read(path); !text) {
    out.why = text.error().text();
  } else if (!is_text(*text)) {
    out.why = "it holds bytes that are no text in UTF-8";
  } else {
    out.text = *std::move(text);
  }
}

RuleFile look_at(const Folder& folder, std::string_view file, From from, Reader reader) {
  RuleFile out{.path = "/" + folder.path_of(file), .from = from};
  if (is_mask(folder.root, folder.path_of(file))) {
    out.state = FileState::kMask;
  } else {
    show(folder, file, reader, out);
  }
  return out;
}

Result<std::vector<RuleFile>> list_of_machine(const Host& host, Reader reader) {
  std::map<std::string, std::vector<RuleFile>> by_name;
  for (const char* path : kRuleFolders) {
    const Folder folder{.root = host.files, .path = path};
    const auto names = names_in(folder);
    if (!names) return fail(from_errno(names.error(), "read", "/" + folder.path));
    for (const std::string& name : *names) {
      auto& files = by_name[name];
      const From from = path == kRuleFolders[0] ? From::kAdministrator : From::kVendor;
      files.push_back(look_at(folder, name, from, reader));
      if (files.size() > 1) files.back().state = FileState::kMasked;
    }
  }
  std::vector<RuleFile> out;
  for (auto& [name, files] : by_name) std::ranges::move(files, std::back_inserter(out));
  return out;
}

/// Who names a file vouches for it: it counts, whoever can write to it.
Result<std::vector<RuleFile>> list_of_named(const std::vector<std::string>& named, Reader reader) {
  std::vector<RuleFile> out;
  bool has_own = false;
  for (const std::string& path : named) {
    Folder folder = folder_of(path);
    if (is_directory(path)) {
      const From from = std::exchange(has_own, true) ? From::kNamed : From::kAdministrator;
      const auto names = names_in(folder);
      if (!names) return fail(from_errno(names.error(), "read", path));
      for (const std::string& name : *names) out.push_back(look_at(folder, name, from, reader));
    } else {
      const std::string file(file_name(folder.path));
      folder.path.resize(folder.path.size() - std::min(folder.path.size(), file.size() + 1));
      out.push_back(look_at(folder, file, From::kNamed, reader));
    }
  }
  return out;
}

Result<std::vector<SpecFile>> files_of(const Host& host, const RuleSource& source) {
  return source.named.empty() ? read_spec_files(host.files) : read_named_specs(source.named);
}

void sort_by_name(std::vector<SpecFile>& files) {
  std::ranges::sort(files, {}, [](const SpecFile& file) { return file_name(file.name); });
}

/// `path` is where the new one stands.
Result<std::vector<SpecFile>> machine_files_with(const Host& host, const NewRuleFile& file,
                                                 const std::string& path) {
  auto out = TRY(read_spec_files(host.files));
  std::erase_if(out, [&](const SpecFile& one) { return file_name(one.name) == file_name(path); });
  if (!file.text.empty()) {
    out.push_back({.name = path, .text = file.text});
  } else {  // then what a package has brought counts again
    const std::string masked = fmt::format("{}/{}", kRuleFolders[1], file_name(path));
    std::optional<std::string> text;
    if (!is_mask(host.files, masked)) text = TRY(read_trusted(host.files, masked));
    if (text) out.push_back({.name = "/" + masked, .text = *std::move(text)});
  }
  sort_by_name(out);
  return out;
}

Result<std::vector<SpecFile>> named_files_with(const RuleSource& source, const NewRuleFile& file,
                                               const std::string& path) {
  std::vector<SpecFile> out;
  bool is_placed = false;
  for (const std::string& named : source.named) {
    auto part = TRY(read_named_specs({named}));
    if (!is_placed && is_directory(named)) {
      is_placed = true;
      std::erase_if(part,
                    [&](const SpecFile& one) { return file_name(one.name) == file_name(path); });
      if (!file.text.empty()) part.push_back({.name = path, .text = file.text});
      sort_by_name(part);
    }
    std::ranges::move(part, std::back_inserter(out));
  }
  return out;
}

/// As people know the file: in the words in which its folder was named.
std::string told_path(const RuleSource& source, const Folder& folder, const std::string& file) {
  const auto named = std::ranges::find_if(source.named, is_directory);
  if (named == source.named.end()) return "/" + folder.path_of(file);
  return std::filesystem::path(*named) / file;  // as read_named_specs() names it
}

/// What `after` has that was not there before, or stands in the file itself.
Result<> check_faults(const std::vector<SpecFile>& before, const std::vector<SpecFile>& after,
                      const std::string& path) {
  const auto old = faults_of(before);
  auto now = faults_of(after);
  std::erase_if(now, [&](const SpecFault& fault) {
    return fault.place.file != path && std::ranges::find(old, fault) != old.end();
  });
  if (now.empty()) return {};
  Error out{.kind = ErrorKind::kUsage,
            .object = now.front().place.str(),
            .why = now.front().why,
            .advice = now.front().advice};
  for (std::size_t i = 1; i < now.size(); ++i)
    out.details.emplace_back(now[i].place.str() + ": " + now[i].why);
  return fail(std::move(out));
}

/// Name and text of each; nullopt: they cannot be read.
std::optional<std::vector<ChangedRule>> rules_in(const std::string& text) {
  const auto spec = parse_spec({{.name = "", .text = text}}, Coverage::kAllowed);
  if (!spec) return std::nullopt;
  std::vector<ChangedRule> out;
  for (const Rule& rule : spec->rules) out.push_back({.name = rule.name, .text = text_of(rule)});
  return out;
}

/// What stands there now; nullopt: there is no such file.
Result<std::optional<std::string>> present_text(const Folder& folder, const std::string& file) {
  const std::string path = folder.path_of(file);
  const auto status = folder.root.status(path);
  if (status && (status->mode & S_IFMT) != S_IFREG)
    return fail({.kind = ErrorKind::kRefused,
                 .object = "/" + path,
                 .why = (status->mode & S_IFMT) == S_IFLNK ? "it is a symbolic link"
                                                           : "it is no regular file",
                 .advice = "remove it by hand, or take another name"});
  return read_trusted(folder.root, path);
}

}  // namespace

/// Rules in front of the first difference and behind the last one are what they were; whatever
/// stands between may count for other devices than before.
std::vector<ChangedRule> changed_rules(const std::string& before, const std::string& after) {
  const auto old = rules_in(before);
  const auto now = rules_in(after);
  const ChangedRule whole_file;
  if (!old || !now) {
    auto out = now.value_or(std::vector<ChangedRule>{});
    out.push_back(whole_file);
    return out;
  }
  const auto [old_from, now_from] = std::ranges::mismatch(*old, *now);
  auto old_to = old->end();
  auto now_to = now->end();
  while (old_to != old_from && now_to != now_from && *(old_to - 1) == *(now_to - 1)) {
    --old_to;
    --now_to;
  }
  std::vector<ChangedRule> out(now_from, now_to);
  for (auto rule = old_from; rule != old_to; ++rule) {
    if (std::ranges::find(now_from, now_to, rule->name, &ChangedRule::name) == now_to)
      out.push_back({.name = rule->name});
  }
  if (out.empty()) out.push_back(whole_file);
  return out;
}

std::string RuleFile::name() const {
  const std::string_view file = file_name(path);
  return std::string(file.substr(0, file.size() - (file.ends_with(kEnding) ? kEnding.size() : 0)));
}

Result<std::string> named_folder(const RuleSource& source) {
  if (source.named.empty()) return std::string();
  const auto named = std::ranges::find_if(source.named, is_directory);
  if (named == source.named.end()) return fail(nowhere_to_write());
  return *named;
}

Result<Spec> read_rules_of(const Host& host, const RuleSource& source) {
  if (source.named.empty()) return read_rules(host.files);
  return parse_spec(TRY(read_named_specs(source.named)));
}

Result<std::vector<RuleFile>> list_rule_files(const Host& host, const RuleSource& source,
                                              Reader reader) {
  return source.named.empty() ? list_of_machine(host, reader) : list_of_named(source.named, reader);
}

Result<> check_rule_file_name(std::string_view name) {
  const char* why = nullptr;
  if (name.empty() || name.size() > kMostNameBytes) {
    why = "a name of a file of rules has 1 to 200 bytes";
  } else if (name.contains('/') || name.starts_with('.')) {
    why = "a name of a file of rules has no slash, and begins with no dot";
  } else if (name.ends_with(kEnding)) {
    why = "a file of rules is named without .toml at the end";
  } else if (printable(name) != name) {
    why = "a name of a file of rules is printable";
  }
  if (why == nullptr) return {};
  return fail({.kind = ErrorKind::kUsage, .object = printable(name), .why = why});
}

Result<std::vector<SpecFile>> files_with(const Host& host, const RuleSource& source,
                                         const NewRuleFile& file) {
  TRY(check_rule_file_name(file.name));
  const Folder folder = TRY(own_folder(host, source));
  const std::string path = told_path(source, folder, file.name + std::string(kEnding));
  return source.named.empty() ? machine_files_with(host, file, path)
                              : named_files_with(source, file, path);
}

Result<Spec> rules_with(const Host& host, const RuleSource& source, const NewRuleFile& file) {
  const auto files = TRY(files_with(host, source, file));
  Spec out = TRY(parse_spec(files));
  if (source.named.empty()) append_rules(out, TRY(read_driverctl_rules(host.files)));
  return out;
}

Result<RuleFileChange> RuleFileChange::plan(const Host& host, const RuleSource& source,
                                            NewRuleFile file, const std::string& expected) {
  TRY(check_rule_file_name(file.name));
  const Folder folder = TRY(own_folder(host, source));
  const std::string name = file.name + std::string(kEnding);
  RuleFileChange out;
  out.folder_ = source.named.empty() ? host.rules_dir : "/" + folder.path;
  out.path_ = told_path(source, folder, name);
  out.before_ = TRY(present_text(folder, name));
  const std::string before = out.before_.value_or("");
  if (before != expected)
    return fail({.kind = ErrorKind::kRefused,
                 .object = out.path_,
                 .why = before.empty()     ? "it is not there any more"
                        : expected.empty() ? "it is there already"
                                           : "it holds another text by now",
                 .advice = "read it again"});
  const auto there = TRY(files_of(host, source));
  const auto after = TRY(files_with(host, source, file));
  TRY(check_faults(there, after, out.path_));
  out.rules_ = changed_rules(before, file.text);
  if (out.before_ && !lets_others(folder, folder.path_of(name), S_IROTH))
    out.readers_ = Readers::kOwner;
  out.file_ = std::move(file);
  return out;
}

bool RuleFileChange::changes() const {
  return file_.text.empty() ? before_.has_value() : before_ != file_.text;
}

Result<> RuleFileChange::carry_out() const {
  if (!changes()) return {};
  const auto storage = open_storage(folder_, readers_);
  const std::string name = file_.name + std::string(kEnding);
  const bool removes = file_.text.empty();
  const auto done = removes ? storage->remove(name) : storage->replace(name, file_.text);
  if (!done) return fail(from_errno(done.error(), removes ? "remove" : "write", path_));
  return {};
}

}  // namespace anybind
