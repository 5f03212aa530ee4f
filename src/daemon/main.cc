// anybindd: keeps devices as the rules declare them (docs/daemon.md).
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/try.h"
#include "cli/advice.h"
#include "cli/exit_code.h"
#include "cli/say.h"
#include "daemon/ask.h"
#include "daemon/service.h"
#include "host/this_machine.h"
#include "policy/boot_list.h"

namespace anybind::daemon {
namespace {

Result<> run(const ServiceOptions& options) {
  const auto machine = TRY(ThisMachine::open("", "", "anybindd"));
  Host host = machine->host();
  if (!options.rules.empty()) host.rules = nullptr;  // the boot list is of the machine's own rules
  if (is_switched_off(host)) {
    cli::say(stderr, "anybindd: anybind.off is on the kernel command line: nothing is done\n");
    return {};
  }
  if (options.rules.empty() && host.rules_dir.empty())
    return fail({.kind = ErrorKind::kUsage, .why = "here are no rules; name some by --rules"});
  if (!host.is_root)
    return fail({.kind = ErrorKind::kNotPermitted,
                 .operation = "keep devices as declared",
                 .why = "only root may"});
  return serve(host, options);
}

/// For the loop, which reads them from a descriptor; every thread inherits it.
void block_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): nothing to be done about it
}

std::string whole_input() {
  constexpr std::size_t kMost = 1U << 20;  // as wire::request_from_json() takes it
  std::string out(kMost, '\0');
  out.resize(std::fread(out.data(), 1, out.size(), stdin));
  return out;
}

int start(int count, char** words) {
  CLI::App app("Keeps devices as the rules in /etc/anybind.d declare them.", "anybindd");
  ServiceOptions options;
  app.add_option("--rules", options.rules, "files of rules, or directories, instead")
      ->type_name("PATH");
  app.add_option("--metrics", options.metrics, "writes metrics.prom there, for Prometheus")
      ->type_name("DIR");
  std::string method;
  app.add_option("--ask", method,
                 "asks the running service, with what stands on standard input: for anybind")
      ->type_name("METHOD");
  app.set_version_flag("--version", "anybindd " ANYBIND_VERSION);
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : cli::exit_code(ErrorKind::kUsage);
  }
  if (!method.empty()) return ask(method, whole_input());
  block_signals();
  const auto done = run(options);
  if (done) return 0;
  cli::say(stderr, "anybindd: {}\n", done.error().message());
  if (!done.error().advice.empty()) cli::say(stderr, "  {}\n", cli::text_of(done.error().advice));
  return cli::exit_code(done.error().kind);
}

}  // namespace
}  // namespace anybind::daemon

int main(int count, char** words) {
  try {
    return anybind::daemon::start(count, words);
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "anybindd: %s\n", error.what()));
    return 1;
  }
}
