#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

// JSON of every value that leaves anybind, or comes from another program. There is one writer of
// each, to_json(), and a schema of it in docs/schema/. Keys are a contract: some may be added, none
// is renamed. Text is ASCII: other characters stand there as \uXXXX, so that none of them steers a
// terminal, and bytes that are no UTF-8 as U+FFFD. Writers throw only std::bad_alloc.
namespace anybind::wire {

/// Keeps the order in which its keys were written.
using Json = nlohmann::ordered_json;

/// For people too: a member a line, indented, with a newline at the end.
[[nodiscard]] std::string text_of(const Json& value);

/// One line, with a newline.
[[nodiscard]] std::string line_of(const Json& value);

/// The text of an array that has each element on a line of its own. It is written piece by piece,
/// as an array of all devices of a large machine would need much memory.
class Lines {
 public:
  void add(const Json& value);
  [[nodiscard]] std::string text() const { return out_.empty() ? "[]\n" : out_ + "\n]\n"; }

 private:
  std::string out_;
};

}  // namespace anybind::wire
