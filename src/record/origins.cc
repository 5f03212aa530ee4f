#include "record/origins.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "record/record_json.h"

namespace anybind {
namespace {

using nlohmann::json;

constexpr std::string_view kFile = "origins.json";
constexpr int kOriginsVersion = 1;
/// What a file begins with; a checksum (FNV-1a, 16 hex digits) and a quotation mark follow, and
/// then the text that it is of.
constexpr std::string_view kHead = R"({"version":1,"checksum":")";
constexpr std::size_t kSumSize = 16;

Error damaged(std::string why) {
  return {.kind = ErrorKind::kFailed,
          .operation = "read",
          .object = std::string(kFile),
          .why = "not understood: " + std::move(why),
          .advice = "move the file out of the way; `restore` then goes by the default match"};
}

/// Why the text of a file is not what was written. Before there was a checksum, a file had three
/// members and no more.
std::string wrong_with(std::string_view text, const json& file) {
  if (!text.starts_with(kHead)) {
    for (const auto& [key, value] : file.items()) {
      if (key != "version" && key != "boot" && key != "devices") return "unknown key " + key;
    }
    return "";
  }
  const std::string_view sum = text.substr(kHead.size(), kSumSize);
  const std::string_view rest = text.substr(std::min(text.size(), kHead.size() + kSumSize));
  return sum == fmt::format("{:016x}", fnv1a(rest)) ? "" : "its checksum is wrong";
}

/// The keys are there only where there is something to say.
void append_belongings(std::string& out, const Belongings& had) {
  if (had.functions) {
    fmt::format_to(std::back_inserter(out), R"(,"virtual_functions":{})", *had.functions);
  }
  if (!had.up.empty()) {
    out += R"(,"up":)";
    out += json(had.up).dump(-1, ' ', false, json::error_handler_t::replace);
  }
}

void append_way_taken(std::string& out, const Origin& origin) {
  if (!origin.called.empty()) {
    out += R"(,"called":)";
    append_json(out, origin.called);
  }
  fmt::format_to(std::back_inserter(out), R"(,"order":{})", origin.order);
}

Belongings had_from_json(const json& row) {
  Belongings out;
  if (const auto found = row.find("virtual_functions"); found != row.end())
    out.functions = found->get<unsigned>();
  if (const auto found = row.find("up"); found != row.end()) {
    out.up = found->get<std::vector<std::string>>();
    std::erase_if(out.up, [](const std::string& name) { return !is_sysfs_name(name); });
  }
  return out;
}

}  // namespace

Result<Origins> Origins::load(Storage& storage, std::string boot_id) {
  Origins out(storage, std::move(boot_id));
  const auto bytes = storage.read(kFile);
  if (!bytes) return fail(from_errno(bytes.error(), "read", std::string(kFile)));
  if (!bytes->has_value()) return out;
  try {
    const json file = json::parse(**bytes);
    if (file.at("version").get<int>() != kOriginsVersion) return fail(damaged("unknown version"));
    if (auto why = wrong_with(**bytes, file); !why.empty()) return fail(damaged(std::move(why)));
    if (file.at("boot").get<std::string>() != out.boot_id_) return out;
    for (const json& row : file.at("devices")) {
      auto entry = record_from_json(row);
      if (!entry) return fail(damaged(entry.error().message()));
      Origin origin{.instance = entry->instance,
                    .binding = std::move(entry->binding),
                    .had = had_from_json(row),
                    .called = row.value("called", ""),
                    .order = row.value("order", std::uint64_t{0})};
      if (!is_sysfs_name(origin.called)) origin.called.clear();
      out.origins_.insert_or_assign(entry->device, std::move(origin));
    }
  } catch (const json::exception& error) {
    return fail(damaged(error.what()));
  }
  return out;
}

std::optional<Origin> Origins::find(const DeviceId& device, const Instance& instance) const {
  return find_origin(origins_, device, instance);
}

void Origins::remember(const DeviceId& device, const Origin& origin) {
  if (find(device, origin.instance)) return;
  Origin& known = origins_.insert_or_assign(device, origin).first->second;
  known.order = std::max<std::uint64_t>(known.order, 1);
  for (const auto& [other, of_other] : origins_) {
    if (other != device) known.order = std::max(known.order, of_other.order + 1);
  }
  changed_ = true;
}

void Origins::forget(const DeviceId& device) {
  changed_ = origins_.erase(device) > 0 || changed_;
}

Result<> Origins::save() {
  if (!changed_) return {};
  std::string text = R"(","boot":)";
  append_json(text, boot_id_);
  text += R"(,"devices":[)";
  for (std::string_view before = "\n{"; const auto& [id, origin] : origins_) {
    text += std::exchange(before, ",\n{");
    append_members(text, {.device = id, .instance = origin.instance, .binding = origin.binding});
    append_belongings(text, origin.had);
    append_way_taken(text, origin);
    text += '}';
  }
  text += "]}\n";
  const auto saved = storage_.replace(kFile, fmt::format("{}{:016x}{}", kHead, fnv1a(text), text));
  if (!saved) {
    return fail(from_errno(saved.error(), "remember the former drivers in", std::string(kFile)));
  }
  changed_ = false;
  return {};
}

}  // namespace anybind
