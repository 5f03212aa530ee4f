#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "change/recover.h"
#include "engine/history.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

/// docs/schema/history.schema.json.
[[nodiscard]] Json to_json(const PastChange& change);
[[nodiscard]] Json to_json(const std::vector<PastChange>& changes);

/// A change as to_json() tells of it.
struct ToldChange {
  std::uint64_t id = 0;
  std::string result;
  std::uint64_t undone_by = 0;  ///< 0: it stands
  std::uint64_t undo_of = 0;    ///< 0: it is no undo
  std::optional<std::int64_t> time{};
  std::vector<std::string> devices{};
  std::string command;  ///< empty: the file cannot be understood
};
/// Of what was read here, and of what another program told, which is at most 64 MiB. Error kUsage:
/// it is none, and where.
[[nodiscard]] ToldChange told(const PastChange& change);
[[nodiscard]] Result<std::vector<ToldChange>> history_from_json(std::string_view text);

/// docs/schema/recover.schema.json. Its errors are messages in words, for which there is
/// "failure" as an object.
[[nodiscard]] Json to_json(const Recovered& change, Wording wording);
[[nodiscard]] Json to_json(const std::vector<Recovered>& changes, Wording wording);

}  // namespace anybind::wire
