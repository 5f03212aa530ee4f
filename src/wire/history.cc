#include "wire/history.h"

#include <utility>

#include "base/try.h"
#include "wire/error.h"
#include "wire/reading.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

constexpr Words<Recovered::What, 4> kWhats{{"void", "finished", "undone", "left"}};

Json message_of(const std::optional<Error>& error) {
  return error ? Json(error->message()) : Json(nullptr);
}

}  // namespace

ToldChange told(const PastChange& change) {
  ToldChange out{.id = change.id, .result = change.result, .undone_by = change.undone_by};
  if (!change.entry) return out;
  out.undo_of = change.entry->undoes;
  out.time = change.entry->time;
  out.command = change.entry->command;
  for (const JournalDevice& device : change.entry->devices)
    out.devices.push_back(device.device.str());
  return out;
}

Json to_json(const PastChange& change) {
  const ToldChange it = told(change);
  Json out;
  if (it.time) {
    out["command"] = it.command;
    out["devices"] = it.devices;
  }
  out["id"] = it.id;
  out["result"] = it.result;
  if (it.undone_by != 0) out["undone_by"] = it.undone_by;
  if (it.undo_of != 0) out["undo_of"] = it.undo_of;
  if (it.time) out["time"] = *it.time;
  return out;
}

Result<std::vector<ToldChange>> history_from_json(std::string_view text) {
  constexpr std::size_t kMost = 64U << 20;
  constexpr std::uint64_t kMostNumber = INT64_MAX;
  const Value value = TRY(parse(text, kMost, "history"));
  if (!value.is_array()) return fail_at("history", "not an array");
  std::vector<ToldChange> out;
  for (const Value& row : value) {
    const Members in = TRY(Members::of(row, "history[" + std::to_string(out.size()) + "]", {},
                                       Members::Others::kPassedOver));
    ToldChange one{.id = TRY(in.number("id", kMostNumber)), .result = TRY(in.text("result"))};
    if (in.has("undone_by")) one.undone_by = TRY(in.number("undone_by", kMostNumber));
    if (in.has("undo_of")) one.undo_of = TRY(in.number("undo_of", kMostNumber));
    if (in.has("time")) {
      one.time = static_cast<std::int64_t>(TRY(in.number("time", kMostNumber)));
      one.command = TRY(in.text("command"));
      one.devices = TRY(in.texts("devices"));
    }
    out.push_back(std::move(one));
  }
  return out;
}

Json to_json(const std::vector<PastChange>& changes) {
  Json out = Json::array();
  for (const PastChange& change : changes) out.push_back(to_json(change));
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
