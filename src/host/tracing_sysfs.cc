#include "host/tracing_sysfs.h"

#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "base/try.h"

namespace anybind {
namespace {

using Kind = Operation::Kind;

class TracingSysfs final : public Sysfs {
 public:
  TracingSysfs(Sysfs& inner, std::unique_ptr<Sysfs> owned, std::string prefix, Trace& trace)
      : inner_(inner), owned_(std::move(owned)), prefix_(std::move(prefix)), trace_(trace) {}

  Reply<std::string> read(std::string_view path) override {
    return note(Kind::kRead, path, inner_.read(path));
  }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    return note(Kind::kWrite, path, inner_.write(path, bytes), bytes);
  }
  Reply<std::string> read_link(std::string_view path) override {
    return note(Kind::kReadLink, path, inner_.read_link(path));
  }
  Reply<std::vector<std::string>> list(std::string_view path) override {
    return note(Kind::kList, path, inner_.list(path));
  }
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    auto dir = TRY(note(Kind::kOpenDir, path, inner_.open_dir(path)));
    Sysfs& inner = *dir;
    return std::make_unique<TracingSysfs>(inner, std::move(dir), full(path), trace_);
  }
  Reply<Instance> instance() override { return note(Kind::kInstance, "", inner_.instance()); }

 private:
  [[nodiscard]] std::string full(std::string_view path) const {
    if (prefix_.empty() || path.empty()) return prefix_ + std::string(path);
    return prefix_ + "/" + std::string(path);
  }
  template <class T>
  Reply<T> note(Kind kind, std::string_view path, Reply<T> reply, std::string_view bytes = {}) {
    trace_.push_back({kind, full(path), std::string(bytes), reply ? Errno{} : reply.error()});
    return reply;
  }

  Sysfs& inner_;
  std::unique_ptr<Sysfs> owned_;
  std::string prefix_;
  Trace& trace_;
};

}  // namespace

std::string Operation::str() const {
  static constexpr const char* kNames[] = {"read", "write", "readlink", "list", "open", "instance"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Kind::kInstance) + 1);
  const auto at = static_cast<std::size_t>(kind);
  CHECK(at < std::size(kNames), "an operation is one of those that Sysfs has");
  std::string out = fmt::format("{} {}", kNames[at], path.empty() ? "." : path);
  if (kind == Kind::kWrite) out += " " + printable(bytes);
  if (err.value != 0) out += " = " + err.name();
  return out;
}

std::unique_ptr<Sysfs> trace_sysfs(Sysfs& inner, Trace& trace) {
  return std::make_unique<TracingSysfs>(inner, nullptr, "", trace);
}

}  // namespace anybind
