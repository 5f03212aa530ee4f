#include "policy/named_specs.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "base/try.h"
#include "host/storage.h"

namespace anybind {
namespace {

Result<SpecFile> read_spec_file(const std::string& path) {
  auto text = read_whole(path);
  if (!text) return fail(from_errno(text.error(), "read", path, ErrorKind::kNotFound));
  if (!*text)
    return fail(
        {.kind = ErrorKind::kNotFound, .operation = "read", .object = path, .why = "no such file"});
  return SpecFile{.name = path, .text = **std::move(text)};
}

}  // namespace

Result<std::vector<SpecFile>> read_rule_folder(const std::string& path) {
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

Result<std::vector<SpecFile>> read_named_specs(const std::vector<std::string>& paths) {
  std::vector<SpecFile> out;
  for (const std::string& path : paths) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
      std::ranges::move(TRY(read_rule_folder(path)), std::back_inserter(out));
    } else {
      out.push_back(TRY(read_spec_file(path)));
    }
  }
  return out;
}

}  // namespace anybind
