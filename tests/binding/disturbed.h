#pragma once

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/try.h"
#include "host/memory_storage.h"
#include "host/sysfs.h"

namespace anybind {

/// Thrown through the code under test: the process dies here.
struct Crash {};

/// What comes between at the n-th operation, counted over sysfs and the files together.
struct Disturbance {
  enum class Kind {
    kNone,
    kError,  ///< it fails with `err`
    kCrash,  ///< the process dies
    kAct,    ///< somebody else acts before it
  };
  Kind kind = Kind::kNone;
  std::size_t at = 0;
  std::size_t also_at = 0;  ///< another one, later; 0: none
  bool after = false;       ///< the operation has its effect first
  bool lasting = false;     ///< every further operation fails too
  Errno err{};
  std::function<void()> act{};
  std::size_t count = 0;
  std::vector<std::size_t> writes{};  ///< which of the operations so far may change something

  [[nodiscard]] bool met() const { return count >= at; }

  /// Of an operation for which "there is none" is an answer: no driver, no such device.
  enum class Absence { kIsAnError, kIsAnAnswer };

  template <class Call>
  std::invoke_result_t<Call> pass(Call call, Absence absence = Absence::kIsAnError) {
    ++count;
    if (kind == Kind::kNone || (lasting ? count < at : count != at && count != also_at))
      return call();
    const bool absent = err.value == ENOENT || err.value == ENODEV || err.value == ENXIO;
    if (kind == Kind::kError && absent && absence == Absence::kIsAnAnswer) return call();
    if (kind == Kind::kAct) {
      act();
      return call();
    }
    if (after) (void)call();
    if (kind == Kind::kCrash) throw Crash();
    return std::unexpected(err);
  }
};

class DisturbedSysfs final : public Sysfs {
 public:
  DisturbedSysfs(Sysfs& inner, Disturbance& disturbance, std::unique_ptr<Sysfs> own = nullptr)
      : inner_(inner), disturbance_(disturbance), own_(std::move(own)) {}
  Reply<std::string> read(std::string_view path) override {
    return disturbance_.pass([&] { return inner_.read(path); });
  }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    // There ENODEV says that there is no such id, or no such driver any more.
    const bool tells = path.ends_with("remove_id");
    disturbance_.writes.push_back(disturbance_.count + 1);
    return disturbance_.pass(
        [&] { return inner_.write(path, bytes); },
        tells ? Disturbance::Absence::kIsAnAnswer : Disturbance::Absence::kIsAnError);
  }
  Reply<std::string> read_link(std::string_view path) override {
    return disturbance_.pass([&] { return inner_.read_link(path); },
                             Disturbance::Absence::kIsAnAnswer);
  }
  Reply<std::vector<std::string>> list(std::string_view path) override {
    return disturbance_.pass([&] { return inner_.list(path); });
  }
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    auto dir = TRY(disturbance_.pass([&] { return inner_.open_dir(path); },
                                     Disturbance::Absence::kIsAnAnswer));
    Sysfs& inner = *dir;
    return std::make_unique<DisturbedSysfs>(inner, disturbance_, std::move(dir));
  }
  Reply<Instance> instance() override {
    return disturbance_.pass([&] { return inner_.instance(); });
  }

 private:
  Sysfs& inner_;
  Disturbance& disturbance_;
  std::unique_ptr<Sysfs> own_;
};

class DisturbedLog final : public Log {
 public:
  DisturbedLog(std::unique_ptr<Log> inner, Disturbance& disturbance)
      : inner_(std::move(inner)), disturbance_(disturbance) {}
  Reply<void> append(std::string_view bytes) override {
    return disturbance_.pass([&] { return inner_->append(bytes); });
  }

 private:
  std::unique_ptr<Log> inner_;
  Disturbance& disturbance_;
};

class DisturbedStorage final : public MemoryStorage {
 public:
  Reply<std::optional<std::string>> read(std::string_view name) override {
    if (!reads_too) return MemoryStorage::read(name);
    return disturbance.pass([&] { return MemoryStorage::read(name); });
  }
  Reply<std::vector<std::string>> list() override {
    if (!reads_too) return MemoryStorage::list();
    return disturbance.pass([&] { return MemoryStorage::list(); });
  }
  Reply<void> replace(std::string_view name, std::string_view bytes) override {
    disturbance.writes.push_back(disturbance.count + 1);
    return disturbance.pass([&] { return MemoryStorage::replace(name, bytes); });
  }
  Reply<std::unique_ptr<Log>> create(std::string_view name, std::string_view bytes) override {
    disturbance.writes.push_back(disturbance.count + 1);
    auto log = TRY(disturbance.pass([&] { return MemoryStorage::create(name, bytes); }));
    return std::make_unique<DisturbedLog>(std::move(log), disturbance);
  }
  Reply<std::unique_ptr<Log>> open_log(std::string_view name) override {
    auto log = TRY(disturbance.pass([&] { return MemoryStorage::open_log(name); }));
    return std::make_unique<DisturbedLog>(std::move(log), disturbance);
  }
  Reply<void> rename(std::string_view from, std::string_view to) override {
    disturbance.writes.push_back(disturbance.count + 1);
    return disturbance.pass([&] { return MemoryStorage::rename(from, to); });
  }
  Reply<void> remove(std::string_view name) override {
    return disturbance.pass([&] { return MemoryStorage::remove(name); });
  }
  void clear() {
    disturbance = {};
    const auto names = list();
    for (const std::string& name : *names) (void)remove(name);
    sync();
  }

  Disturbance disturbance;
  bool reads_too = false;  ///< those of files count as operations
};

}  // namespace anybind
