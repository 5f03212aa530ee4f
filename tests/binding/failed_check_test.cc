// A CHECK that fails ends the process where it stands, in the middle of a change too. What it
// leaves must be what recover() was made for: an open journal that says all that is needed.
#include <gmock/gmock.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/check.h"
#include "engine/engine.h"
#include "host/tracing_sysfs.h"
#include "machine.h"

namespace anybind {
namespace {

using testing::HasSubstr;
using What = Recovered::What;

/// Two ends of a pipe.
struct Ends {
  Ends() { EXPECT_EQ(::pipe2(both, O_CLOEXEC), 0); }
  /// All that was written to it, once nobody else can.
  std::string all() {
    ::close(both[1]);
    std::string out;
    char bytes[4096];
    for (ssize_t got = 0; (got = ::read(both[0], bytes, sizeof bytes)) > 0;)
      out.append(bytes, static_cast<std::size_t>(got));
    ::close(both[0]);
    return out;
  }
  int both[2]{};
};

/// Finds at its n-th step that something is not so. First it tells which writes were made, as the
/// modelled kernel of this process dies with it.
class Doubter final : public Listener {
 public:
  Doubter(std::size_t at, const Trace& trace, int told) : at_(at), trace_(trace), told_(told) {}
  void on_step(const DeviceId& /*device*/, const Step& /*step*/) override {
    if (++steps_ != at_) return;
    std::string out;
    for (const Operation& each : trace_) {
      if (each.kind == Operation::Kind::kWrite) out += each.path + '\0' + each.bytes + '\0';
    }
    EXPECT_EQ(::write(told_, out.data(), out.size()), static_cast<ssize_t>(out.size()));
    check_failed("src/change/somewhere.cc", 7, "all is well");
  }

 private:
  std::size_t at_;
  const Trace& trace_;
  int told_;
  std::size_t steps_ = 0;
};

class FailedCheckTest : public MachineTest {
 protected:
  FailedCheckTest() {
    std::string name = (std::filesystem::temp_directory_path() / "anybind.XXXXXX").string();
    dir_ = ::mkdtemp(name.data());
    files_ = open_storage(dir_ + "/state");
  }
  ~FailedCheckTest() override { std::filesystem::remove_all(dir_); }

  Host host(Sysfs& tree, Storage& files, const std::string& command) {
    Host out(tree);
    out.storage = &files;
    out.boot = "boot";
    out.command = command;
    out.has_users = false;
    return out;
  }

  /// Changes bindings in a process of its own that fails a CHECK at step `at`; then the modelled
  /// kernel here is as that one was. False: it had come to its end before.
  bool dies_at(std::size_t at, const Request& request) {
    Ends writes;
    Ends errors;
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(errors.both[1], STDERR_FILENO);
      Trace trace;
      const auto traced = trace_sysfs(*sysfs_, trace);
      const auto own_files = open_storage(dir_ + "/state");
      Doubter doubter(at, trace, writes.both[1]);
      (void)change(host(*traced, *own_files, "test"), request, doubter);
      ::_exit(0);
    }
    const std::string told = writes.all();
    const std::string said = errors.all();
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) return false;
    EXPECT_EQ(WTERMSIG(status), SIGABRT);
    EXPECT_THAT(said, HasSubstr("anybind: src/change/somewhere.cc:7: not so: all is well\n"));
    for (std::size_t from = 0; from < told.size();) {
      const std::string path = told.data() + from;
      const std::string bytes = told.data() + from + path.size() + 1;
      (void)sysfs_->write(path, bytes);
      from += path.size() + bytes.size() + 2;
    }
    return true;
  }

  std::vector<Recovered> recover_here() {
    Listener nobody;
    const auto out = recover_changes(host(*sysfs_, *files_, "recover"), {}, nobody);
    EXPECT_TRUE(out) << out.error().message();
    return out ? out->changes : std::vector<Recovered>();
  }

  std::size_t open_changes() {
    const auto memory = read_memory(host(*sysfs_, *files_, ""));
    EXPECT_TRUE(memory);
    return memory ? memory->journal.open().size() : 0;
  }

  /// At every step of `request`. Returns after how many of them recover() had something to do.
  std::size_t at_every_step(const Request& request, const std::function<void()>& prepare) {
    std::size_t mended = 0;
    for (std::size_t at = 1;; ++at) {
      EXPECT_LT(at, 100U);
      core_ = drivercore::DriverCore(read_machine(kMachine));
      prepare();
      const auto before = all();
      std::filesystem::remove_all(dir_ + "/state");
      files_ = open_storage(dir_ + "/state");
      if (!dies_at(at, request)) {
        EXPECT_GT(at, 8U);
        return mended;
      }
      EXPECT_EQ(open_changes(), 1U) << "at step " << at;
      if (all() != before) ++mended;
      const auto recovered = recover_here();
      EXPECT_EQ(recovered.size(), 1U);
      for (const Recovered& one : recovered) {
        EXPECT_EQ(one.what, What::kUndone) << "at step " << at;
        EXPECT_FALSE(one.error) << one.error->message();
      }
      EXPECT_EQ(all(), before) << "at step " << at;
      EXPECT_EQ(open_changes(), 0U) << "at step " << at;
      if (HasFailure()) return mended;
    }
  }

  std::string dir_;
  std::unique_ptr<Storage> files_;
};

Request to_vfio_request() {
  Request out{.verb = Request::Verb::kBind};
  out.devices = {kNicA, kGpu};
  out.driver = driver("vfio-pci");
  out.whole_group = true;
  return out;
}

TEST_F(FailedCheckTest, OnTheWayForwardRecoverPutsAllRight) {
  EXPECT_GE(at_every_step(to_vfio_request(), [] {}), 7U);
}

TEST_F(FailedCheckTest, OnTheWayBackRecoverPutsAllRight) {
  EXPECT_GE(at_every_step(to_vfio_request(),
                          [&] { core_.set_probe("vfio-pci", -EIO, kGpuAudio.name.str()); }),
            9U);
}

}  // namespace
}  // namespace anybind
