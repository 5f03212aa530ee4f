#include "cli/spec_source.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/try.h"
#include "cli/session.h"

namespace anybind::cli {
namespace {

Result<SpecFile> read_spec_file(const std::string& path) {
  auto text = read_whole(path);
  if (!text) return fail(from_errno(text.error(), "read", path, ErrorKind::kNotFound));
  if (!*text)
    return fail(
        {.kind = ErrorKind::kNotFound, .operation = "read", .object = path, .why = "no such file"});
  return SpecFile{.name = path, .text = **std::move(text)};
}

/// In the order of their names; none when there is no such directory.
Result<std::vector<SpecFile>> read_directory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.ends_with(".toml") && !name.starts_with('.')) names.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(from_errno(Errno{error.value()}, "read", path));
  std::ranges::sort(names);
  std::vector<SpecFile> out;
  out.reserve(names.size());
  for (const std::string& name : names) out.push_back(TRY(read_spec_file(name)));
  return out;
}

Error no_rules_here() {
  return {.kind = ErrorKind::kUsage,
          .why = "a lab or a made-up tree has no rules of its own",
          .advice = "name a file of rules, or a directory of them"};
}

}  // namespace

Result<Spec> load_spec(const Context& context, const std::vector<std::string>& words) {
  const Host& host = context.session.host();
  std::vector<SpecFile> files;
  for (const std::string& word : words) {
    std::error_code ignored;
    if (std::filesystem::is_directory(word, ignored)) {
      std::ranges::move(TRY(read_directory(word)), std::back_inserter(files));
    } else {
      files.push_back(TRY(read_spec_file(word)));
    }
  }
  if (!words.empty()) return parse_spec(files);
  if (host.rules_dir.empty()) return fail(no_rules_here());
  return read_rules(host.files);
}

void add_spec(CLI::App& app, std::vector<std::string>& words) {
  app.add_option("spec", words, "files of rules, or directories; else those of this machine");
}

Result<RuleFolder> open_rules(const Context& context, const std::string& directory) {
  const Host& host = context.session.host();
  RuleFolder out;
  if (directory.empty()) {
    if (host.rules == nullptr) return fail(no_rules_here());
    out.there.folder = host.rules_dir;
    out.there.files = TRY(read_spec_files(host.files));
    out.storage = host.rules;
    return out;
  }
  out.there.folder = directory;
  while (out.there.folder.size() > 1 && out.there.folder.ends_with('/'))
    out.there.folder.pop_back();
  out.there.files = TRY(read_directory(out.there.folder));
  out.own = open_storage(directory, Readers::kAll);
  out.storage = out.own.get();
  return out;
}

}  // namespace anybind::cli
