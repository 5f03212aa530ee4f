#pragma once

#include <cstddef>
#include <string>

#include "anybind/base/error.h"
#include "anybind/plan/plan.h"

namespace anybind {

/// Is told what happens while a plan runs, between two calls to the kernel. Every method, also
/// stop_requested(), is called by one thread at a time, but with RunOptions::concurrent not always
/// by the thread that called run(). What a method throws is dropped (of stop_requested(): false):
/// no message is worth a change that is left half way. Others wait while a method runs, so it
/// should return soon. This one hears nothing.
class Listener {
 public:
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  virtual ~Listener() = default;

  /// Another process changes bindings, and is waited for: its name for people, several times a
  /// second.
  virtual void on_waiting(const std::string& /*owner*/) {}
  /// What will be done, before anything is.
  virtual void on_plan(const Plan& /*plan*/) {}
  /// So many changes were cut off, and are ended one after another.
  virtual void on_open_changes(std::size_t /*count*/) {}
  /// Just before the load of a module.
  virtual void on_module(const ModuleLoad& /*load*/) {}
  /// Just before the write of `step`.
  virtual void on_step(const DeviceId& /*device*/, const Step& /*step*/) {}
  /// Just before the write of `setting`.
  virtual void on_setting(const Setting& /*setting*/) {}
  /// The owner that was asked for has this device node now.
  virtual void on_given(const std::string& /*node*/) {}
  /// Something that nobody asked for has happened, and was left as it is.
  virtual void on_warning(const std::string& /*text*/) {}
  /// The plan failed; what follows are the steps that put `devices` devices back.
  virtual void on_rollback(const Error& /*cause*/, std::size_t /*devices*/) {}
  /// Asked before each step of the way forward (not while rolling back): true makes the plan fail
  /// and be rolled back.
  [[nodiscard]] virtual bool stop_requested() const { return false; }
};

}  // namespace anybind
