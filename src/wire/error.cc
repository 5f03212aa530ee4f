#include "wire/error.h"

#include "base/text.h"
#include "wire/reading.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

constexpr std::size_t kMostErrorText = 1U << 20;
constexpr int kMostErrno = 4095;  // linux include/linux/err.h:MAX_ERRNO

std::string_view word_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kFailed:
      return "failed";
    case ErrorKind::kUsage:
      return "usage";
    case ErrorKind::kRefused:
      return "refused";
    case ErrorKind::kIncomplete:
      return "incomplete";
    case ErrorKind::kNotPermitted:
      return "not_permitted";
    case ErrorKind::kNotFound:
      break;
  }
  return "not_found";
}

struct Kinds {
  [[nodiscard]] static std::optional<ErrorKind> named(std::string_view word) {
    for (const ErrorKind kind :
         {ErrorKind::kFailed, ErrorKind::kUsage, ErrorKind::kRefused, ErrorKind::kIncomplete,
          ErrorKind::kNotPermitted, ErrorKind::kNotFound}) {
      if (word_of(kind) == word) return kind;
    }
    return std::nullopt;
  }
};

struct Errnos {
  [[nodiscard]] static std::optional<Errno> named(std::string_view word) {
    for (int value = 1; value <= kMostErrno; ++value) {
      if (Errno{value}.name() == word) return Errno{value};
    }
    return std::nullopt;
  }
};

}  // namespace

Json to_json(const Error& error, Wording wording) {
  Json out = {{"code", word_of(error.kind)},
              {"errno", nullptr},
              {"message", error.message()},
              {"operation", error.operation},
              {"object", error.object},
              {"why", error.why.empty() && error.err.value != 0 ? error.err.text() : error.why},
              {"details", texts_of(error.details, wording)},
              {"advice", to_json(error.advice)}};
  if (error.err.value != 0) out["errno"] = error.err.name();
  return out;
}

Result<Error> error_from_json(std::string_view text) {
  const Value value = TRY(parse(text, kMostErrorText, "error"));
  const Members in = TRY(Members::of(value, "error", {}, Members::Others::kPassedOver));
  Error out{.kind = TRY(in.word("code", Kinds{}))};
  if (in.has("errno")) out.err = TRY(in.word("errno", Errnos{}));
  out.operation = TRY(in.text("operation"));
  out.object = TRY(in.text("object"));
  out.why = TRY(in.text("why"));
  if (out.err.value != 0 && out.why == out.err.text()) out.why.clear();
  for (const std::string& line : TRY(in.texts("details")))
    out.details.emplace_back(printable(line, SIZE_MAX));
  if (in.has("advice")) out.advice = TRY(in.one("advice", remark_from));
  return out;
}

}  // namespace anybind::wire
