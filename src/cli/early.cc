#include "cli/early.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/answer.h"
#include "cli/say.h"
#include "cli/session.h"
#include "policy/boot_image.h"
#include "policy/boot_list.h"
#include "policy/early_boot.h"
#include "policy/spec.h"
#include "wire/early.h"

namespace anybind::cli {
namespace {

void print_early(const Context& context, const EarlyBoot& boot, bool dry) {
  for (const EarlyDevice& device : boot.devices) {
    const std::string what = !device.left.empty() ? "not kept: " + device.left
                             : dry                ? "would be kept for " + device.kept
                                                  : "kept for " + device.kept;
    if (context.verbosity >= 0 || !device.left.empty())
      say(context.out, "{}  {} (rule \"{}\")\n", device.device.str(), printable(what, 512),
          printable(device.rule));
  }
  if (context.verbosity < 0) return;
  for (const std::string& module : boot.modules) say(context.out, "loaded {}\n", printable(module));
  if (boot.devices.empty() && boot.troubles.empty())
    say(context.out, "nothing to do: no rule is for a device that is there\n");
}

}  // namespace

Result<int> run_early(Context& context, bool dry) {
  const Host& host = context.session.host();
  if (host.rules_dir.empty())
    return fail({.kind = ErrorKind::kUsage, .why = "a lab or a made-up tree does not boot"});
  EarlyBoot boot;
  const bool is_off = is_switched_off(host);
  if (!is_off) boot = TRY(keep_at_boot(host, dry));
  if (context.json) {
    answer(context, wire::to_json(boot, is_off));
  } else if (is_off) {
    say(context.out, "anybind.off is on the kernel command line: nothing is done\n");
  } else {
    print_early(context, boot, dry);
  }
  for (const Error& trouble : boot.troubles)
    say(context.err, "anybind: warning: {}\n", trouble.message());
  const bool is_left = std::ranges::any_of(
      boot.devices, [](const EarlyDevice& device) { return !device.left.empty(); });
  return is_left || !boot.troubles.empty() ? 1 : 0;
}

void keep_list(const Context& context, const Spec& spec, const Judgement& judgement) {
  const Host& host = context.session.host();
  Listener nobody;
  const auto written = keep_boot_list(host, spec, judgement, nobody);
  if (!written) {
    say(context.err, "anybind: warning: the next boot does not know of it: {}\n",
        written.error().message());
    return;
  }
  if (!*written || context.json || context.verbosity < 0) return;
  const BootImage image = look_at_boot_image(host);
  if (image.state == BootImage::State::kDiffers)
    say(context.out, "to keep it so at boot, before the host's drivers come: {}\n", image.how);
}

void keep_list(const Context& context) {
  const Host& host = context.session.host();
  if (host.rules == nullptr) return;
  const auto spec = read_rules(host.files);
  if (!spec) return;  // who has just written one was told
  const auto judgement = judge(host, *spec);
  if (judgement) keep_list(context, *spec, *judgement);
}

}  // namespace anybind::cli
