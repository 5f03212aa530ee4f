#pragma once

#include "ansible/answer.h"
#include "base/error.h"

// The modules of the collection. Errors are those of arguments: nothing was tried.
namespace anybind::ansible {

[[nodiscard]] Result<Answer> run_device(const Task& task);
[[nodiscard]] Result<Answer> run_functions(const Task& task);
[[nodiscard]] Result<Answer> run_rules(const Task& task);
[[nodiscard]] Result<Answer> run_facts(const Task& task);

}  // namespace anybind::ansible
