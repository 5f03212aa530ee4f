#include "ansible/module.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ansible/modules.h"
#include "base/text.h"
#include "base/try.h"
#include "cli/login_address.h"
#include "cli/names_file.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "host/storage.h"

namespace anybind::ansible {
namespace {

constexpr std::string_view kCopied = "AnsiballZ_";
constexpr std::string_view kInstalled = "anybind-ansible";
constexpr std::size_t kLongestCommand = 200;

struct Module {
  std::string_view name;
  Result<Answer> (*run)(const Task& task);
  const char* subject;  ///< the argument that names what it works on, for the history
};

constexpr auto kModules = std::to_array<Module>({
    {"device", run_device, "device"},
    {"functions", run_functions, "device"},
    {"rules", run_rules, "name"},
    {"facts", run_facts, ""},
});

/// What the verbs of the command would print, line by line.
class Said {
 public:
  Said() : file_(::open_memstream(&text_, &size_)) {}
  ~Said() {
    if (file_ != nullptr) std::fclose(file_);
    std::free(text_);  // NOLINT(cppcoreguidelines-no-malloc): open_memstream's
  }
  Said(const Said&) = delete;
  Said& operator=(const Said&) = delete;

  [[nodiscard]] std::FILE* file() const { return file_ != nullptr ? file_ : stderr; }
  void add_to(std::vector<std::string>& out) {
    if (file_ == nullptr || std::fflush(file_) != 0 || text_ == nullptr) return;
    std::string_view rest(text_, size_);
    while (!rest.empty()) {
      const auto end = std::min(rest.find('\n'), rest.size());
      std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (line.starts_with("anybind: ")) line.remove_prefix(9);
      if (line.starts_with("warning: ")) line.remove_prefix(9);
      if (!line.empty()) out.emplace_back(line);
    }
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* file_;
};

/// For the journal: which task, and of which process, so that its changes are known by it.
std::string command_of(const Module& module, const Arguments& arguments) {
  std::string out = fmt::format("ansible {}", module.name);
  if (*module.subject != '\0') {
    if (const auto words = arguments.texts(module.subject)) {
      for (const std::string& word : *words) out += " " + shell_quote(word);
    }
  }
  if (arguments.has("driver")) {
    if (const auto driver = arguments.text("driver")) out += " " + shell_quote(*driver);
  }
  return printable(out, kLongestCommand) + fmt::format(" [{}]", ::getpid());
}

Result<const Module*> module_named(const Arguments& arguments) {
  std::vector<std::string> names;
  names.reserve(std::size(kModules));
  for (const Module& module : kModules) names.emplace_back(module.name);
  const std::string name = TRY(arguments.text("do"));
  const auto* found = std::ranges::find(kModules, name, &Module::name);
  if (found != kModules.end()) return found;
  return wrong("do", fmt::format("no such module: {}", printable(name)),
               "it is " + join_words(names, "or"));
}

Result<Answer> run_module(const std::string& path) {
  const auto text = read_whole(path);
  if (!text) return fail(from_errno(text.error(), "read", path));
  if (!*text) return fail({.kind = ErrorKind::kUsage, .object = path, .why = "no such file"});
  const Arguments arguments = TRY(Arguments::parse(**text));
  const Module& module = *TRY(module_named(arguments));
  const auto session = TRY(cli::Session::open(
      {.login = cli::login_address(), .command = command_of(module, arguments)}));
  Said out;
  Said err;
  cli::Context context{.sysfs = session->host().sysfs,
                       .sysfs_root = session->host().sysfs_root,
                       .names_file = cli::names_file(),
                       .session = *session,
                       .out = out.file(),
                       .err = err.file()};
  cli::catch_signals();
  Result<Answer> answer = module.run({.arguments = arguments, .context = context});
  if (!answer) return answer;
  out.add_to(answer->notes);
  err.add_to(answer->warnings);
  return answer;
}

/// Whoever may not do it is told how a task may.
Error with_become(Error error) {
  if (error.kind == ErrorKind::kNotPermitted && ::geteuid() != 0) error.advice = "become: true";
  return error;
}

}  // namespace

bool is_module_name(std::string_view name) {
  return name == kInstalled || name.starts_with(kCopied);
}

int module(const std::vector<std::string>& words) {
  Result<Answer> answer =
      fail({.kind = ErrorKind::kUsage,
            .object = std::string(kInstalled),
            .why = "one word is wanted: the file of arguments that Ansible writes"});
  try {
    if (words.size() == 1) answer = run_module(words.front());
  } catch (const std::exception& thrown) {
    answer = fail({.why = thrown.what()});
  }
  Answer told;
  if (answer) {
    told = *std::move(answer);
    if (told.error) told.error = with_become(*told.error);
  } else {
    told.fail_with(with_become(std::move(answer).error()));
  }
  cli::put(stdout, wire::line_of(to_json(told)));
  return told.error ? 1 : 0;
}

}  // namespace anybind::ansible
