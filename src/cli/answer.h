#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/verb.h"
#include "policy/apply.h"
#include "wire/json.h"

// With --json everything on standard output is one JSON value: these print it.
namespace anybind::cli {

/// Prints `text`, a JSON value.
void answer_text(const Context& context, std::string_view text);
/// The same as text_of() writes it.
void answer(const Context& context, const wire::Json& value);

/// An error as the command tells it: with its exit code, and what to type next.
[[nodiscard]] wire::Json error_value(const Error& error);

/// What came of the changes for rules, in the same way: "changes" of docs/schema/apply.schema.json.
[[nodiscard]] wire::Json applied_value(const Spec& spec, const std::vector<Applied>& applied);

/// {"error": {...}} on standard output, unless a value is there already, which then tells of it.
void answer_error(const Error& error);
/// The same for want of memory: takes none. Exit code 1.
void answer_no_memory() noexcept;

}  // namespace anybind::cli
