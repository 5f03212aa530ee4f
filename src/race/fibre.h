#pragma once

#include <functional>
#include <memory>
#include <vector>

namespace anybind::race {

/// A function on a stack of its own, which can be left in the middle and gone on with: what lets
/// ordinary code be stopped before each of its steps. All of one Fibre happens in one thread.
class Fibre {
 public:
  explicit Fibre(std::function<void()> body);
  /// A body that was begun must have ended: whoever suspends throws through it for that.
  ~Fibre();
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;

  /// Runs the body until it suspends or ends. The body lets no exception out.
  void resume();
  /// Of the body: back to whoever resumed it.
  void suspend();

  [[nodiscard]] bool begun() const { return begun_; }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  struct Context;
  static std::vector<std::unique_ptr<Context>>& spare();
  static std::unique_ptr<Context> take_context();
  static void enter(unsigned high, unsigned low);
  void run();

  std::function<void()> body_;
  std::unique_ptr<Context> context_;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace anybind::race
