#include "change/module_load.h"

#include <cerrno>
#include <chrono>
#include <set>

#include <fmt/format.h>

#include "host/kernel_log.h"
#include "inventory/not_there.h"
#include "plan/module_plan.h"

namespace anybind {
namespace {

void add_messages(Error& error, const Host& host, const std::string& module) {
  if (host.log == nullptr) return;
  const auto all = host.log->messages();
  std::set<std::string> said;
  for (const std::string& name : {module, module_key(module)}) {
    for (std::string& line : messages_about(all, "module", name, "")) {
      if (said.insert(line).second) error.details.emplace_back("kernel: " + std::move(line));
    }
  }
}

}  // namespace

Result<> load_modules(const Host& host, const Plan& plan, Listener& listener,
                      const RunOptions& options, std::vector<std::string>& loaded) {
  Sysfs& root = host.sysfs;
  Clock::Time end;
  const auto is_late = [&] { return host.clock->now() > end; };
  const auto give_up = [&] { return listener.stop_requested() || is_late(); };
  for (const ModuleLoad& load : plan.modules) {
    end = host.clock->now() + options.long_patience;
    const auto is_there = [&] { return root.open_dir(driver_path(load.bus, load.driver)); };
    if (is_there()) continue;  // somebody else has loaded it meanwhile
    if (listener.stop_requested()) return fail({.object = load.module, .why = "interrupted"});
    if (host.modules == nullptr) return fail(no_such_driver(root, load.bus, load.driver));
    listener.on_module(load);
    auto done = host.modules->load(load.module, give_up);
    if (!done) {
      if (done.error().err.value == ETIMEDOUT && is_late()) {
        done.error().why =
            fmt::format("has not returned after {:.3g} s; modprobe is left to itself",
                        std::chrono::duration<double>(options.long_patience).count());
      }
      add_messages(done.error(), host, load.module);
      return done;
    }
    loaded.push_back(load.module);
    if (is_there()) continue;
    return fail(brings_another(root, load.module, load.bus, load.driver, "is loaded now"));
  }
  return {};
}

}  // namespace anybind
