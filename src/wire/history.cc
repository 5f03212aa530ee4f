#include "wire/history.h"

#include "wire/error.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

constexpr Words<Recovered::What, 4> kWhats{{"void", "finished", "undone", "left"}};

Json message_of(const std::optional<Error>& error) {
  return error ? Json(error->message()) : Json(nullptr);
}

}  // namespace

Json to_json(const PastChange& change) {
  Json out;
  if (change.entry) {
    Json devices = Json::array();
    for (const JournalDevice& device : change.entry->devices)
      devices.push_back(device.device.str());
    out["command"] = change.entry->command;
    out["devices"] = std::move(devices);
  }
  out["id"] = change.id;
  out["result"] = change.result;
  if (change.undone_by != 0) out["undone_by"] = change.undone_by;
  if (change.entry && change.entry->undoes != 0) out["undo_of"] = change.entry->undoes;
  if (change.entry) out["time"] = change.entry->time;
  return out;
}

Json to_json(const Recovered& change, Wording wording) {
  return {{"command", change.command},
          {"devices", change.devices},
          {"error", message_of(change.error)},
          {"failure", change.error ? to_json(*change.error, wording) : Json(nullptr)},
          {"gone", change.gone},
          {"id", change.id},
          {"memory", message_of(change.memory)},
          {"result", kWhats.of(change.what)}};
}

Json to_json(const std::vector<Recovered>& changes, Wording wording) {
  Json out = Json::array();
  for (const Recovered& change : changes) out.push_back(to_json(change, wording));
  return out;
}

}  // namespace anybind::wire
