// Facts: the declared state beside the actual one, and what differs. Reads only.
#include <string>

#include <nlohmann/json.hpp>

#include "ansible/modules.h"
#include "base/try.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/names_file.h"
#include "cli/session.h"
#include "cli/spec_source.h"
#include "inventory/inventory.h"
#include "inventory/names.h"
#include "policy/judge.h"
#include "policy/promise.h"
#include "policy/since.h"
#include "users/listing.h"
#include "wire/device.h"
#include "wire/policy.h"

namespace anybind::ansible {
namespace {

wire::Json status_of(const Host& host, const Spec& spec, const Judgement& judgement) {
  const auto since = last_changes(host, spec, judgement.devices);
  wire::Json out = wire::to_json(spec, judgement, since.value_or(std::map<DeviceId, LastChange>()),
                                 cli::text_of);
  wire::Json drift = wire::Json::array();
  for (const auto& device : out["devices"]) {
    if (device["state"] != "met") drift.push_back(device);
  }
  out["drift"] = std::move(drift);
  out["before_probe"] = wire::to_json(promise_kept(host, spec));
  out["rules"] = wire::rules_to_json(spec, judgement);
  return out;
}

Result<wire::Json> declared(const cli::Context& context, const std::string& folder) {
  const Host& host = context.session.host();
  const std::vector<std::string> words =
      folder.empty() ? std::vector<std::string>() : std::vector<std::string>{folder};
  const Spec spec = TRY(cli::load_spec(context, words));
  return status_of(host, spec, TRY(judge(host, spec)));
}

/// As `list --json`.
Result<wire::Json> inventory(const cli::Context& context) {
  const Host& host = context.session.host();
  const auto ids = TRY(read_device_ids(host.sysfs, BusName::literal("pci")));
  const unsigned threads = context.session.is_lab() ? 1 : threads_worth(ids.size());
  PciNames names(cli::names_file());
  return wire::Json::parse(wire::list_text(TRY(read_listing(host, ids, threads, WithUse::kYes)),
                                           names, host.sysfs_root, cli::text_of));
}

}  // namespace

Result<Answer> run_facts(const Task& task) {
  TRY(task.arguments.only({"inventory", "folder"}));
  const std::string folder = TRY(task.arguments.text("folder", ""));
  wire::Json facts = {{"version", ANYBIND_VERSION}, {"error", nullptr}};
  auto status = declared(task.context, folder);
  if (status) {
    facts.update(*status);
  } else {  // rules that are broken are a fact too
    facts["error"] = cli::error_value(status.error());
    facts["holds"] = false;
    for (const char* key : {"devices", "drift", "problems", "rules"})
      facts[key] = wire::Json::array();
  }
  if (TRY(task.arguments.flag("inventory", false)))
    facts["inventory"] = TRY(inventory(task.context));
  Answer out;
  out.more["ansible_facts"] = {{"anybind", std::move(facts)}};
  return out;
}

}  // namespace anybind::ansible
