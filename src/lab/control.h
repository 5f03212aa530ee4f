#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "host/descriptor.h"

namespace anybind::lab {

/// How the commands of `anybind lab` reach a lab: a socket in a directory that only its owner can
/// enter. One connection is one command: words ended by NUL, then the answer, whose first line is
/// the exit code.
using Words = std::vector<std::string>;

/// A lab that others can talk to.
class ControlSocket {
 public:
  using Handler = std::function<Result<std::string>(const Words&)>;

  /// Listens under this name; empty: the number of this process. kRefused when a lab of that name
  /// runs.
  [[nodiscard]] static Result<ControlSocket> open(const std::string& name);
  ControlSocket(ControlSocket&& other) noexcept = default;
  ControlSocket& operator=(ControlSocket&& other) noexcept = default;
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  /// Removes the socket's name.
  ~ControlSocket();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Answers, each command in its own thread, in the background and until the process ends.
  [[nodiscard]] Result<> serve(Handler handler) const;

 private:
  ControlSocket() = default;
  std::string name_;
  std::string path_;
  Descriptor socket_;
};

/// Names of the labs of this user that run, sorted; within a lab, also that one,
/// whether or not its socket is in sight.
[[nodiscard]] std::vector<std::string> running_labs();

/// Has a lab run a command: the lab of this name; or, without one, that which this process is in;
/// or the only one that runs. The answer's text; the answer's error.
[[nodiscard]] Result<std::string> ask_lab(const std::string& name, const Words& words);

}  // namespace anybind::lab
