#include "wire/rule_files.h"

#include "wire/values.h"

namespace anybind::wire {
namespace {

constexpr Words<RuleFile::From, 3> kFrom{{"administrator", "vendor", "named"}};
constexpr Words<RuleFile::State, 4> kFileStates{{"counts", "masked", "mask", "refused"}};

}  // namespace

Json to_json(const std::vector<RuleFile>& files) {
  Json out = Json::array();
  for (const RuleFile& file : files) {
    out.push_back({{"path", file.path},
                   {"name", file.name()},
                   {"from", kFrom.of(file.from)},
                   {"state", kFileStates.of(file.state)},
                   {"text", or_null(file.text)},
                   {"why", or_null(file.why)}});
  }
  return out;
}

Json to_json(const std::vector<SpecFault>& faults, Wording wording) {
  Json out = Json::array();
  for (const SpecFault& fault : faults) {
    const bool has_line = fault.place.line != 0;
    out.push_back({{"file", or_null(fault.place.file)},
                   {"line", has_line ? Json(fault.place.line) : Json(nullptr)},
                   {"column", has_line ? Json(fault.place.column) : Json(nullptr)},
                   {"text", fault.why},
                   {"hint", or_null(wording(fault.advice))}});
  }
  return out;
}

Json to_json(const RuleFileChange& change) {
  return {{"path", change.path()}, {"removed", change.removes()}, {"changed", change.changes()}};
}

}  // namespace anybind::wire
