#include "wire/json.h"

#include <nlohmann/json.hpp>

namespace anybind::wire {
namespace {

/// `indent` -1: on one line.
std::string dump(const Json& value, int indent) {
  return value.dump(indent, ' ', true, Json::error_handler_t::replace);
}

}  // namespace

std::string text_of(const Json& value) {
  return dump(value, 2) + "\n";
}

std::string line_of(const Json& value) {
  return dump(value, -1) + "\n";
}

void Lines::add(const Json& value) {
  out_ += out_.empty() ? "[\n" : ",\n";
  out_ += dump(value, -1);
}

}  // namespace anybind::wire
