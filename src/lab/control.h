#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "host/descriptor.h"

namespace anybind::lab {

class ControlServer;

/// How the commands of `anybind lab` reach a lab: a socket in a directory that only its owner can
/// enter. One connection is one command: words ended by NUL, then the answer: a blank now and then
/// while the command runs, a line with a number (0, or of the kind of the error), and a text.
using Words = std::vector<std::string>;

/// A lab that others can talk to.
class ControlSocket {
 public:
  using Handler = std::function<Result<std::string>(const Words&)>;

  /// Listens under this name; empty: the number of this process. kRefused when a lab of that name
  /// runs.
  [[nodiscard]] static Result<ControlSocket> open(const std::string& name);
  ControlSocket(ControlSocket&& other) noexcept;
  ControlSocket& operator=(ControlSocket&& other) = delete;
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  /// As close().
  ~ControlSocket();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Answers in the background (control_server.h) until close() or the end of the process. kFailed
  /// when that cannot be.
  [[nodiscard]] Result<> serve(Handler handler);
  /// Nobody is answered from now on, and the name is free. Commands that run go on.
  void close();

 private:
  ControlSocket();
  std::string name_;
  std::string path_;
  Descriptor socket_;
  std::shared_ptr<ControlServer> server_;
  std::thread thread_;
};

/// Names of the labs of this user that run, sorted; within a lab, also that one, whether or not its
/// socket is in sight. kRefused when their directory is not one that only this user can enter.
[[nodiscard]] Result<std::vector<std::string>> running_labs();

/// Has a lab run a command: the lab of this name; or, without one, that which this process is in;
/// or the only one that runs. The answer's text; the answer's error. kRefused when the socket is
/// another user's, kFailed when the lab says nothing for a while.
[[nodiscard]] Result<std::string> ask_lab(const std::string& name, const Words& words);

}  // namespace anybind::lab
