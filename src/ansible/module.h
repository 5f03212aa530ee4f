#pragma once

#include <string>
#include <string_view>
#include <vector>

// anybind as a module of Ansible, by its protocol for binary modules: called with the name of a
// JSON file of arguments, it answers with one JSON object on standard output.
namespace anybind::ansible {

/// The names of a program by which Ansible means this: what it copies to a host is called
/// "AnsiballZ_NAME", and what is installed there is called by its link "anybind-ansible".
[[nodiscard]] bool is_module_name(std::string_view name);

/// Does what the arguments in the file `words[0]` ask for, and prints what came of it. Exit code 1:
/// the answer tells of a failure, as "failed".
int module(const std::vector<std::string>& words);

}  // namespace anybind::ansible
