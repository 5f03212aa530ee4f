// The program, by the name by which it is called: `anybind`, one of the programs in whose place it
// stands, or a module of Ansible. The name is the last part of argv[0], so that a link to the
// program is enough.
#include <algorithm>
#include <array>
#include <csignal>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "ansible/module.h"
#include "cli/command.h"
#include "cli/say.h"
#include "compat/devbind.h"
#include "compat/driverctl.h"

namespace anybind::compat {
namespace {

using Program = int (*)(const std::vector<std::string>& words);

struct Named {
  std::string_view name;
  Program program;
};

constexpr auto kPrograms = std::to_array<Named>({
    {"driverctl", driverctl},
    {"dpdk-devbind.py", devbind},
    {"dpdk-devbind", devbind},
});

std::string_view name_of_path(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

int run_as(const Named& named, const std::vector<std::string>& words) {
  try {
    const int code = named.program(words);
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    cli::say(stderr, "{}: the output could not be written\n", named.name);
  } catch (const std::exception& thrown) {
    cli::say(stderr, "{}: {}\n", named.name, thrown.what());
  }
  return 1;
}

}  // namespace
}  // namespace anybind::compat

int main(int argc, char** argv) {
  using namespace anybind;
  cli::prepare_output();
  ::signal(SIGCHLD, SIG_DFL);  // ignored by who called us, our own children could not be waited for
  const std::string_view name = argc > 0 ? compat::name_of_path(argv[0]) : std::string_view();
  if (ansible::is_module_name(name))
    return compat::run_as({.name = name, .program = ansible::module}, {argv + 1, argv + argc});
  const auto* found = std::ranges::find(compat::kPrograms, name, &compat::Named::name);
  if (found == compat::kPrograms.end()) return cli::run_command(argc, argv);
  return compat::run_as(*found, {argv + 1, argv + argc});
}
