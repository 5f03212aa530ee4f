// Translates, and decides nothing: what a request means is Kernfs's business.
#include "lab/fuse_server.h"
#include "base/try.h"

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/threads.h"
#include "base/try.h"

namespace anybind::lab {
namespace {

constexpr double kForever = 1e6;          // seconds
constexpr unsigned kMaxWrite = 1U << 17;  // a longer write would come in pieces
constexpr int kMaxThreads = 1024;

Kernfs& files(fuse_req_t req) {
  return *static_cast<Kernfs*>(fuse_req_userdata(req));
}

template <class T>
T& handle(const fuse_file_info* file) {
  return *reinterpret_cast<T*>(file->fh);  // NOLINT(performance-no-int-to-ptr): FUSE's form
}

/// For how long the kernel may keep them. Modes and owners change through this mount alone, and a
/// number never comes to mean another thing; without this it asks for those of every directory on
/// the way at every open. The number of links of a directory may change, and a file may be gone.
double time_of(const struct stat& status) {
  constexpr double kShort = 1;  // seconds
  if (S_ISDIR(status.st_mode)) return kShort;
  return S_ISLNK(status.st_mode) ? kForever : 0;
}

void refuse(fuse_req_t req, int error) {
  fuse_reply_err(req, error);
}

void on_init(void* /*files*/, fuse_conn_info* connection) {
  connection->max_write = kMaxWrite;
  // A truncating open is one request; the truncation itself has no effect.
  connection->want |= connection->capable & FUSE_CAP_ATOMIC_O_TRUNC;
  connection->want |= connection->capable & FUSE_CAP_PARALLEL_DIROPS;
}

void on_lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  const auto found = files(req).lookup(parent, name);
  if (!found) return refuse(req, found.error().value);
  fuse_entry_param entry{};
  entry.ino = found->number;
  entry.attr = found->status;
  entry.entry_timeout = found->lasting ? kForever : 0;
  entry.attr_timeout = time_of(found->status);
  fuse_reply_entry(req, &entry);
}

void on_forget(fuse_req_t req, fuse_ino_t number, std::uint64_t references) {
  files(req).forget(number, references);
  fuse_reply_none(req);
}

void on_getattr(fuse_req_t req, fuse_ino_t number, fuse_file_info* /*file*/) {
  const auto status = files(req).status(number);
  if (!status) return refuse(req, status.error().value);
  fuse_reply_attr(req, &*status, time_of(*status));
}

void on_setattr(fuse_req_t req, fuse_ino_t number, struct stat* wanted, int which,
                fuse_file_info* /*file*/) {
  const auto given = [&](int bit, auto value) {
    return (which & bit) != 0 ? std::optional(value) : std::nullopt;
  };
  const auto status = files(req).change(number, given(FUSE_SET_ATTR_MODE, wanted->st_mode),
                                        given(FUSE_SET_ATTR_UID, wanted->st_uid),
                                        given(FUSE_SET_ATTR_GID, wanted->st_gid));
  if (!status) return refuse(req, status.error().value);
  fuse_reply_attr(req, &*status, time_of(*status));
}

void on_readlink(fuse_req_t req, fuse_ino_t number) {
  const auto text = files(req).read_link(number);
  if (!text) return refuse(req, text.error().value);
  fuse_reply_readlink(req, text->c_str());
}

// ---- directories: what was there when it was read from the start, which fails for one that has
// gone

struct Listing {
  std::vector<Kernfs::Name> names;
};

void on_opendir(fuse_req_t req, fuse_ino_t number, fuse_file_info* file) {
  if (const auto there = files(req).status(number); !there) return refuse(req, there.error().value);
  auto* listing = new Listing;
  file->fh = reinterpret_cast<std::uint64_t>(listing);
  if (fuse_reply_open(req, file) == -ENOENT) delete listing;
}

void on_readdir(fuse_req_t req, fuse_ino_t number, std::size_t size, off_t offset,
                fuse_file_info* file) {
  auto& names = handle<Listing>(file).names;
  if (offset == 0) {
    auto fresh = files(req).list(number);
    if (!fresh) return refuse(req, fresh.error().value);
    names = *std::move(fresh);
  }
  std::vector<char> out(std::min<std::size_t>(size, kMaxWrite));
  std::size_t used = 0;
  for (std::size_t i = static_cast<std::size_t>(std::max<off_t>(offset, 0)); i < names.size() + 2;
       ++i) {
    struct stat status{};
    const char* name = i == 0 ? "." : "..";
    status.st_mode = S_IFDIR;
    status.st_ino = number;
    if (i >= 2) {
      name = names[i - 2].name.c_str();
      status.st_mode = names[i - 2].type;
      status.st_ino = names[i - 2].inode;
    }
    const auto needed = fuse_add_direntry(req, out.data() + used, out.size() - used, name, &status,
                                          static_cast<off_t>(i + 1));
    if (needed > out.size() - used) break;
    used += needed;
  }
  fuse_reply_buf(req, out.data(), used);
}

void on_releasedir(fuse_req_t req, fuse_ino_t /*number*/, fuse_file_info* file) {
  delete &handle<Listing>(file);
  refuse(req, 0);
}

// ---- files

void on_open(fuse_req_t req, fuse_ino_t number, fuse_file_info* file) {
  auto opened = files(req).open(number, file->flags);
  if (!opened) return refuse(req, opened.error().value);
  auto* open = new Kernfs::File(*std::move(opened));
  file->fh = reinterpret_cast<std::uint64_t>(open);
  file->direct_io = 1;
  file->noflush = 1;
  if (fuse_reply_open(req, file) == -ENOENT) delete open;
}

void on_release(fuse_req_t req, fuse_ino_t /*number*/, fuse_file_info* file) {
  delete &handle<Kernfs::File>(file);
  refuse(req, 0);
}

void on_read(fuse_req_t req, fuse_ino_t /*number*/, std::size_t size, off_t offset,
             fuse_file_info* file) {
  const auto text = files(req).read(handle<Kernfs::File>(file), size, offset);
  if (!text) return refuse(req, text.error().value);
  fuse_reply_buf(req, text->data(), text->size());
}

void on_write(fuse_req_t req, fuse_ino_t /*number*/, const char* bytes, std::size_t size,
              off_t offset, fuse_file_info* file) {
  const auto taken = files(req).write(handle<Kernfs::File>(file), {bytes, size}, offset);
  if (!taken) return refuse(req, taken.error().value);
  fuse_reply_write(req, *taken);
}

// ---- what sysfs has not: names are made and removed by the driver core alone

void on_create(fuse_req_t req, fuse_ino_t /*parent*/, const char* /*name*/, mode_t /*mode*/,
               fuse_file_info* /*file*/) {
  refuse(req, EACCES);
}
void on_mknod(fuse_req_t req, fuse_ino_t /*parent*/, const char* /*name*/, mode_t mode,
              dev_t /*device*/) {
  refuse(req, S_ISREG(mode) ? EACCES : EPERM);
}
void on_mkdir(fuse_req_t req, fuse_ino_t /*parent*/, const char* /*name*/, mode_t /*mode*/) {
  refuse(req, EPERM);
}
void on_unlink(fuse_req_t req, fuse_ino_t /*parent*/, const char* /*name*/) {
  refuse(req, EPERM);
}
void on_symlink(fuse_req_t req, const char* /*to*/, fuse_ino_t /*parent*/, const char* /*name*/) {
  refuse(req, EPERM);
}
void on_rename(fuse_req_t req, fuse_ino_t /*parent*/, const char* /*name*/, fuse_ino_t /*to*/,
               const char* /*new_name*/, unsigned /*flags*/) {
  refuse(req, EPERM);
}
void on_link(fuse_req_t req, fuse_ino_t /*number*/, fuse_ino_t /*parent*/, const char* /*name*/) {
  refuse(req, EPERM);
}

/// An operation whose exceptions, for want of memory, are ENOMEM: libfuse is C, and the lab is more
/// than this request.
template <auto Operation>
struct Calm;
template <class... Args, void (*Operation)(fuse_req_t, Args...)>
struct Calm<Operation> {
  static void call(fuse_req_t req, Args... args) noexcept {
    try {
      Operation(req, args...);
    } catch (const std::exception&) {
      refuse(req, ENOMEM);
    }
  }
};

constexpr fuse_lowlevel_ops kOperations = [] {
  fuse_lowlevel_ops out{};
  out.init = on_init;
  out.lookup = Calm<on_lookup>::call;
  out.forget = on_forget;
  out.getattr = Calm<on_getattr>::call;
  out.setattr = Calm<on_setattr>::call;
  out.readlink = Calm<on_readlink>::call;
  out.opendir = Calm<on_opendir>::call;
  out.readdir = Calm<on_readdir>::call;
  out.releasedir = on_releasedir;
  out.open = Calm<on_open>::call;
  out.release = on_release;
  out.read = Calm<on_read>::call;
  out.write = Calm<on_write>::call;
  out.create = on_create;
  out.mknod = on_mknod;
  out.mkdir = on_mkdir;
  out.unlink = on_unlink;
  out.rmdir = on_unlink;
  out.symlink = on_symlink;
  out.rename = on_rename;
  out.link = on_link;
  return out;
}();

Error fuse_error(std::string object) {
  return {.kind = ErrorKind::kFailed,
          .operation = "mount the lab at",
          .object = std::move(object),
          .why = "FUSE refused it",
          .advice = "see the line above; a user other than root needs fusermount3 (package fuse3)"};
}

}  // namespace

struct FuseServer::Session {
  fuse_session* fuse = nullptr;
  bool mounted = false;
  std::atomic<int> idle = 0;     ///< threads that wait for a request
  std::atomic<int> threads = 0;  ///< all of them
  std::mutex mutex;
  std::condition_variable ended;

  ~Session() {
    if (fuse == nullptr) return;
    if (mounted) fuse_session_unmount(fuse);
    if (threads == 0) fuse_session_destroy(fuse);
  }

  static Result<std::unique_ptr<Session>> make(Kernfs& files, std::vector<std::string> options,
                                               const std::string& where) {
    std::array<char*, 3> words = {};
    std::string name = "anybind";
    std::string flag = "-o";
    std::string all = fmt::format("{}", fmt::join(options, ","));
    words = {name.data(), flag.data(), all.data()};
    fuse_args args = FUSE_ARGS_INIT(options.empty() ? 1 : 3, words.data());
    auto out = std::make_unique<Session>();
    out->fuse = fuse_session_new(&args, &kOperations, sizeof kOperations, &files);
    fuse_opt_free_args(&args);
    if (out->fuse == nullptr || fuse_session_mount(out->fuse, where.c_str()) != 0) {
      return fail(fuse_error(where));
    }
    return out;
  }

  void serve() {
    fuse_buf request{};
    while (fuse_session_exited(fuse) == 0) {
      ++idle;
      const int got = fuse_session_receive_buf(fuse, &request);
      // One thread always waits for the next request, whatever this one comes to wait for.
      // Without another thread it is only served later.
      if (--idle == 0 && got > 0) start();
      if (got == -EINTR || got == -EAGAIN) continue;
      if (got <= 0) break;
      fuse_session_process_buf(fuse, &request);
    }
    std::free(request.mem);
    fuse_session_exit(fuse);
    const std::lock_guard lock(mutex);
    --threads;
    ended.notify_all();
  }

  void start() {
    if (++threads > kMaxThreads) {
      --threads;
      return;
    }
    if (!start_detached([this] { serve(); })) --threads;  // those that there are go on
  }
};

FuseServer::FuseServer(std::unique_ptr<Session> session) : session_(std::move(session)) {}
FuseServer::~FuseServer() = default;

Result<std::unique_ptr<FuseServer>> FuseServer::on_descriptor(Kernfs& files, int fuse) {
  auto session = TRY(Session::make(files, {}, fmt::format("/dev/fd/{}", fuse)));
  return std::unique_ptr<FuseServer>(new FuseServer(std::move(session)));
}

Result<std::unique_ptr<FuseServer>> FuseServer::mount(Kernfs& files, const std::string& directory) {
  std::vector<std::string> options = {"default_permissions", "fsname=anybind", "subtype=anybind"};
  if (::geteuid() == 0) options.emplace_back("allow_other");
  auto session = TRY(Session::make(files, std::move(options), directory));
  session->mounted = true;
  return std::unique_ptr<FuseServer>(new FuseServer(std::move(session)));
}

void FuseServer::run() {
  session_->start();
  if (session_->threads == 0) {  // no thread could be made: this one is as good
    ++session_->threads;
    session_->serve();
  }
  std::unique_lock lock(session_->mutex);
  session_->ended.wait(lock, [&] { return fuse_session_exited(session_->fuse) != 0; });
}

void FuseServer::stop() {
  fuse_session_exit(session_->fuse);
  const std::lock_guard lock(session_->mutex);
  session_->ended.notify_all();
}

void FuseServer::unmount() {
  if (std::exchange(session_->mounted, false)) fuse_session_unmount(session_->fuse);
}

}  // namespace anybind::lab
