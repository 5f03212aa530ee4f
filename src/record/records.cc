#include "record/records.h"

#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"

namespace anybind {

Result<Memory> Memory::load(const Host& host) {
  Storage& storage = *host.storage;
  TRY(storage.usable());
  return Memory{
      .origins = TRY(Origins::load(storage, host.boot)),
      .journal = TRY(Journal::load(storage, host.boot, host.command, host.clock->date()))};
}

Result<Memory> Memory::lock(const Host& host, const Storage::Wait& wait, OnDamage on_damage) {
  Storage& storage = *host.storage;
  if (host.boot.empty()) {
    return fail({.object = "bindings",
                 .why = "this boot has no name: /proc/sys/kernel/random/boot_id cannot be read; "
                        "nothing was changed",
                 .advice = "mount -t proc proc /proc"});
  }
  TRY(storage.usable());
  std::string owner;
  // not advice: it is who has the lock
  const auto locked = storage.lock("anybind " + host.command, [&](const std::string& who) {
    owner = who;
    return wait(who);
  });
  if (!locked && locked.error().value == EWOULDBLOCK) {
    return fail({.kind = ErrorKind::kRefused,
                 .object = "bindings",
                 .why = fmt::format("another anybind is changing them: process {}", owner),
                 .advice = "wait until it has ended"});
  }
  if (!locked) {
    return fail(from_errno(locked.error(), "lock", "the directory of remembered drivers",
                           ErrorKind::kNotPermitted));
  }
  auto origins = Origins::load(storage, host.boot);
  if (!origins && on_damage == OnDamage::kFail) return fail(std::move(origins).error());
  auto journal = TRY(Journal::load(storage, host.boot, host.command, host.clock->date()));
  if (origins) return Memory{.origins = *std::move(origins), .journal = std::move(journal)};
  return Memory{.origins = Origins::none(storage, host.boot),
                .journal = std::move(journal),
                .damage = std::move(origins).error()};
}

}  // namespace anybind
