#include "wire/finding.h"

#include "doctor/doctor.h"
#include "wire/values.h"

namespace anybind::wire {

Json to_json(const Finding& finding, Wording wording) {
  return {{"check", finding.check},
          {"fix", or_null(wording(finding.fix))},
          {"verdict", verdict_word(finding.verdict)},
          {"what", finding.what}};
}

Json to_json(const std::vector<Finding>& findings, Wording wording) {
  Json rows = Json::array();
  for (const Finding& finding : findings) rows.push_back(to_json(finding, wording));
  return {{"findings", std::move(rows)}, {"ready", is_ready(findings)}};
}

}  // namespace anybind::wire
