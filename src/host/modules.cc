// Loading is left to modprobe(8), which knows the machine's options, install lines, compression and
// signatures; in an initramfs it is busybox's and in a lab the lab's. libkmod cannot be linked into
// a static program (docs/architecture.md). The files that it reads are read here only to tell
// beforehand what it will do.
#include "host/modules.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "host/child.h"
#include "host/mapped_file.h"
#include "host/proc.h"

namespace anybind {
namespace {

/// Cuts the next line off, without its newline.
std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

/// Cuts the next word off.
std::string_view take_word(std::string_view& line) {
  const auto start = std::min(line.find_first_not_of(" \t"), line.size());
  const auto end = std::min(line.find_first_of(" \t", start), line.size());
  const std::string_view word = line.substr(start, end - start);
  line.remove_prefix(end);
  return word;
}

/// "kernel/drivers/vfio/pci/vfio-pci.ko.xz: ..." is vfio-pci.
std::string_view name_of_file(std::string_view path) {
  path = path.substr(0, path.find(':'));
  path = path.substr(path.rfind('/') + 1);
  return path.substr(0, path.find(".ko"));
}

/// A name that modprobe takes for nothing else.
bool is_module_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name[0] != '-' &&
         std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

/// Whether `list`, as "a,b_c", has the module.
bool has_module(std::string_view list, const std::string& key) {
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
    if (module_key(item) == key) return true;
  }
  return false;
}

class HostModules final : public ModuleLoader {
 public:
  explicit HostModules(ModuleSources sources)
      : sources_(std::move(sources)), directory_(sources_.directory) {}

  std::optional<ModuleFacts> find(std::string_view name) override {
    if (!is_module_name(name)) return std::nullopt;
    const std::string key = module_key(name);
    ModuleFacts out{.name = std::string(name)};
    if (sources_.ask_program) {
      const auto there = run_modprobe({"-n", "-q", out.name}, {});
      return there ? std::optional(out) : std::nullopt;
    }
    if (const auto file = listed("modules.dep", key)) {
      out.name = *file;
    } else if (const auto built_in = listed("modules.builtin", key)) {
      out.name = *built_in;
      out.built_in = true;
    } else {
      return std::nullopt;
    }
    take_config(out, key);
    take_command_line(out, key);
    return out;
  }

  Result<> load(const std::string& name, const std::function<bool()>& give_up) override {
    if (!is_module_name(name)) {
      return fail(
          {.kind = ErrorKind::kUsage, .operation = "load", .object = name, .why = "no name"});
    }
    return run_modprobe({name}, give_up);
  }

  std::vector<std::string> names() override {
    std::vector<std::string> out;
    const auto text = directory_.read("modules.dep");
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    while (!rest.empty()) out.emplace_back(name_of_file(take_line(rest)));
    return out;
  }

  std::string_view aliases() override {
    // More than a megabyte: to map it costs much less than to read it.
    const std::string& directory = sources_.directory;
    if (!mapped_) mapped_.emplace(directory.empty() ? "" : directory + "/modules.alias");
    if (!mapped_->text().empty()) return mapped_->text();
    if (!aliases_) aliases_ = directory_.read("modules.alias").value_or("");
    return *aliases_;
  }

 private:
  [[nodiscard]] std::optional<std::string> listed(const char* list, const std::string& key) const {
    const auto text = directory_.read(list);
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    while (!rest.empty()) {
      const std::string_view name = name_of_file(take_line(rest));
      if (name.size() == key.size() && module_key(name) == key) return std::string(name);
    }
    return std::nullopt;
  }

  /// modprobe.d(5): of files with one name only that of the weightiest directory counts.
  void take_config(ModuleFacts& out, const std::string& key) const {
    std::set<std::string> seen;
    for (const std::string& directory : sources_.config) {
      const Proc files(directory);
      auto names = files.list("").value_or(std::vector<std::string>());
      std::ranges::sort(names);
      for (const std::string& name : names) {
        if (!name.ends_with(".conf") || !seen.insert(name).second) continue;
        const auto text = files.read(name);
        if (text) take_lines(out, key, *text, fmt::format("{}/{}", directory, name));
      }
    }
  }

  static void take_lines(ModuleFacts& out, const std::string& key, std::string_view text,
                         const std::string& file) {
    while (!text.empty()) {
      std::string_view line = take_line(text);
      const std::string_view what = take_word(line);
      if (module_key(take_word(line)) != key) continue;
      if (what == "blacklist") out.blacklisted = file;
      if (what != "install") continue;
      std::string_view program = take_word(line);
      program = program.substr(program.rfind('/') + 1);
      if (program != "false" && program != "true") continue;
      out.forbidden = fmt::format("{} says: install {} {}", file, out.name, program);
    }
  }

  void take_command_line(ModuleFacts& out, const std::string& key) const {
    const auto text = Proc(sources_.proc).read("cmdline");
    std::string_view rest = text ? trim_newline(*text) : std::string_view();
    for (auto word = take_word(rest); !word.empty(); word = take_word(rest)) {
      const auto equals = std::min(word.find('='), word.size());
      const std::string option = module_key(word.substr(0, equals));
      const std::string_view list = word.substr(std::min(equals + 1, word.size()));
      if (option == "modprobe.blacklist" && has_module(list, key))
        out.blacklisted = "the kernel command line (modprobe.blacklist)";
      if (option == "module_blacklist" && has_module(list, key))
        out.forbidden = "the kernel command line says: module_blacklist=" + out.name;
    }
  }

  [[nodiscard]] Result<> run_modprobe(const std::vector<std::string>& words,
                                      const std::function<bool()>& give_up) const {
    Error error{.operation = "load", .object = words.back()};
    const auto program = std::ranges::find_if(sources_.programs, [](const std::string& path) {
      return ::access(path.c_str(), X_OK) == 0;
    });
    if (program == sources_.programs.end()) {
      error.why = "there is no modprobe on this machine";
      return fail(std::move(error));
    }
    std::vector<std::string> command = {*program};
    command.insert(command.end(), words.begin(), words.end());
    const auto ended = run_child(command, give_up);
    if (ended && ended->status == 0) return {};
    if (!ended) {
      error.err = ended.error();
      if (error.err.value == ETIMEDOUT) error.why = "interrupted; modprobe is left to itself";
      return fail(std::move(error));
    }
    const bool forbids = ended->output.contains("Operation not permitted") && ::geteuid() != 0;
    if (forbids) error.kind = ErrorKind::kNotPermitted;
    error.why = ended->output.empty() ? fmt::format("modprobe ended with {}", ended->status)
                                      : printable(trim_newline(ended->output));
    return fail(std::move(error));
  }

  ModuleSources sources_;
  Proc directory_;
  std::optional<MappedFile> mapped_;
  std::optional<std::string> aliases_;  ///< of a file that cannot be mapped
};

}  // namespace

std::string module_key(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '-', '_');
  return out;
}

std::unique_ptr<ModuleLoader> open_modules(ModuleSources sources) {
  return std::make_unique<HostModules>(std::move(sources));
}

}  // namespace anybind
