#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ansible/arguments.h"
#include "ansible/steps.h"
#include "base/error.h"
#include "change/outcome.h"
#include "cli/verb.h"
#include "policy/apply.h"
#include "users/blocker.h"
#include "wire/json.h"

namespace anybind::ansible {

/// One task: what it asks for, and the machine. What is written to the context's `out` and `err`
/// becomes notes and warnings of the answer.
struct Task {
  const Arguments& arguments;
  cli::Context& context;

  [[nodiscard]] const Host& host() const;
};

/// What a module answers: docs/ansible.md has the table of its members.
struct Answer {
  bool changed = false;
  std::string message{};                  ///< "msg"
  std::optional<Error> error{};           ///< then it has failed
  std::vector<Error> refusals{};          ///< each that was refused, and why
  std::vector<Blocker> in_use_by{};       ///< who uses devices that would lose their drivers
  std::vector<Outcome> outcomes{};        ///< of each device
  wire::Json plan = wire::Json::array();  ///< what was done, or would be
  std::vector<std::string> warnings{};
  std::vector<std::string> notes{};
  wire::Json diffs = wire::Json::array();  ///< as Ansible's --diff shows them
  wire::Json more = wire::Json::object();  ///< what only one module answers

  /// Takes the error: what became of the machine is told by its kind.
  void fail_with(const Error& cause);
  void add(const Steps& steps);
  /// The outcomes, and whether anything was changed by them.
  void add(const std::vector<Outcome>& devices);
  void add_diff(const std::string& header, const std::string& before, const std::string& after);
  /// The lines of the plan, as --check --diff shows them.
  void add_plan_text(const std::string& text);
};

[[nodiscard]] wire::Json to_json(const Answer& answer);

/// A line for each device, as it was and as it is.
void add_binding_diff(Answer& answer);

/// Who uses what `request` would take; nobody where that cannot be planned.
[[nodiscard]] std::vector<Blocker> users_of(const Host& host, const Request& request);

/// Carries `request` out, or with --check tries it on a model; everything that comes of it.
[[nodiscard]] Answer carry_out(const Task& task, const Request& request);

/// The arguments "ignore" and "timeout".
[[nodiscard]] Result<Request> request_of(const Arguments& arguments);

}  // namespace anybind::ansible
