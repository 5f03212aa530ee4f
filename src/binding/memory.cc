#include "binding/memory.h"

#include <unistd.h>

#include <cerrno>
#include <ctime>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"

namespace anybind {

Result<Memory> Memory::load(Storage& storage, const std::string& boot, const std::string& command) {
  TRY(storage.usable());
  return Memory{.origins = TRY(Origins::load(storage, boot)),
                .journal = TRY(Journal::load(storage, boot, command, std::time(nullptr)))};
}

Result<Memory> Memory::lock(Storage& storage, const std::string& boot, const std::string& command,
                            const Storage::Wait& wait, OnDamage on_damage) {
  if (boot.empty()) {
    return fail({.object = "bindings",
                 .why = "this boot has no name: /proc/sys/kernel/random/boot_id cannot be read; "
                        "nothing was changed",
                 .next = "mount -t proc proc /proc"});
  }
  TRY(storage.usable());
  std::string owner;
  const auto locked =
      storage.lock(fmt::format("{} anybind {}", ::getpid(), command), [&](const std::string& who) {
        owner = who;
        return wait(who);
      });
  if (!locked && locked.error().value == EWOULDBLOCK) {
    return fail({.code = Code::kRefused,
                 .object = "bindings",
                 .why = fmt::format("another anybind is changing them: process {}", owner),
                 .next = "wait until it has ended"});
  }
  if (!locked) {
    return fail(from_errno(locked.error(), "lock", "the directory of remembered drivers",
                           Code::kNotPermitted));
  }
  auto origins = Origins::load(storage, boot);
  if (!origins && on_damage == OnDamage::kFail) return fail(std::move(origins).error());
  auto journal = TRY(Journal::load(storage, boot, command, std::time(nullptr)));
  if (origins) return Memory{.origins = *std::move(origins), .journal = std::move(journal)};
  return Memory{.origins = Origins::none(storage, boot),
                .journal = std::move(journal),
                .damage = std::move(origins).error()};
}

std::string boot_id(const Proc& proc) {
  const auto text = proc.read("sys/kernel/random/boot_id");
  return text ? std::string(trim_newline(*text)) : "";
}

}  // namespace anybind
