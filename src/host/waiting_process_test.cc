#include "host/waiting_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>
#include <tuple>

#include "base/text.h"

namespace anybind {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

const Patience kPatient{.limit = 20s};

/// A pipe is a file on which a call can be made to wait.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    out = Descriptor(ends[0]);
    in = Descriptor(ends[1]);
  }
  /// The next write to it waits.
  void fill() {
    ::fcntl(in.get(), F_SETFL, O_NONBLOCK);
    const std::array<char, 4096> page{};
    while (::write(in.get(), page.data(), page.size()) > 0) {
    }
    ::fcntl(in.get(), F_SETFL, 0);
  }
  void drain() {
    ::fcntl(out.get(), F_SETFL, O_NONBLOCK);
    std::array<char, 4096> page;
    while (::read(out.get(), page.data(), page.size()) > 0) {
    }
  }
  Descriptor out;
  Descriptor in;
};

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// "S", "D", "Z"; empty when there is no such process.
std::string state_of(long pid) {
  const std::string stat = read_all("/proc/" + std::to_string(pid) + "/stat");
  const auto end = stat.rfind(") ");
  return end == std::string::npos ? "" : stat.substr(end + 2, 1);
}

template <class Condition>
bool eventually(const Condition& condition) {
  for (const auto end = Clock::now() + 20s; Clock::now() < end; std::this_thread::sleep_for(2ms)) {
    if (condition()) return true;
  }
  return false;
}

/// Dead for sure: one that is on its way to it may still take a call with it.
void kill_and_wait(pid_t pid) {
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  EXPECT_TRUE(eventually([&] { return state_of(pid) == "Z"; }));
}

int error_of(const Reply<std::size_t>& reply) {
  return reply ? 0 : reply.error().value;
}

class WaitingProcessTest : public testing::Test {
 protected:
  Reply<std::size_t> write(std::string_view text, const Patience& patience = kPatient) {
    return child_.write(pipe_.in, text, patience, abandoned_);
  }
  std::string got() {
    std::array<char, 64> text{};
    const auto count = ::read(pipe_.out.get(), text.data(), text.size());
    return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
  }
  Pipe pipe_;
  Abandoned abandoned_;
  WaitingProcess child_;
};

TEST_F(WaitingProcessTest, OneServesManyCalls) {
  EXPECT_EQ(write("0000:03:00.0"), 12U);
  EXPECT_EQ(got(), "0000:03:00.0");
  const pid_t first = child_.pid();
  ASSERT_GT(first, 0);
  EXPECT_EQ(write("more"), 4U);
  EXPECT_EQ(child_.read(pipe_.out, kPatient, abandoned_), "more");
  EXPECT_EQ(child_.pid(), first);
  EXPECT_EQ(abandoned_.pid, 0);
}

TEST_F(WaitingProcessTest, ErrorsAreThoseOfTheCall) {
  EXPECT_EQ(error_of(child_.write(pipe_.out, "x", kPatient, abandoned_)), EBADF);
  const auto text = child_.read(pipe_.in, kPatient, abandoned_);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().value, EBADF);
  EXPECT_EQ(error_of(write("")), EINVAL);
}

TEST_F(WaitingProcessTest, HasMemoryOfItsOwn) {
  ASSERT_TRUE(write("x"));
  const std::string ours = read_all("/proc/self/statm");
  // What shares an address space shares its size.
  std::vector<char> more(64U << 20U, 'x');
  EXPECT_NE(read_all("/proc/self/statm"), ours);
  const auto pages = [](const std::string& text) {
    return parse_decimal(text.substr(0, text.find(' '))).value_or(0);
  };
  EXPECT_LT(pages(read_all("/proc/" + std::to_string(child_.pid()) + "/statm")) + 8192,
            pages(read_all("/proc/self/statm")));
  EXPECT_EQ(more.back(), 'x');
}

TEST_F(WaitingProcessTest, OneThatWasKilledBetweenTwoCallsIsReplaced) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(write("x"));
    const pid_t was = child_.pid();
    kill_and_wait(was);
    EXPECT_EQ(write("y"), 1U) << i;
    EXPECT_EQ(got(), "xy");
    EXPECT_NE(child_.pid(), was);
    EXPECT_EQ(state_of(was), "") << "a zombie";
  }
}

/// Killed at any moment: what it says is true.
TEST_F(WaitingProcessTest, AKillAtAnyMomentNeverMakesTwoWritesOrALostOne) {
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(write("x"));
    EXPECT_EQ(got(), "x");
    const pid_t pid = child_.pid();
    std::jthread killer([pid, i] {
      std::this_thread::sleep_for(std::chrono::microseconds(i));
      ::kill(pid, SIGKILL);
    });
    const auto reply = write("y");
    killer.join();
    ASSERT_TRUE(eventually([&] { return state_of(pid) == "Z" || state_of(pid).empty(); }));
    ASSERT_TRUE(reply || reply.error().value == EOWNERDEAD);
    ASSERT_EQ(write("."), 1U);
    const std::string text = got();
    if (reply) {
      ASSERT_EQ(text, "y.");
    } else {
      ASSERT_TRUE(text == "y." || text == ".") << text;
    }
  }
}

TEST_F(WaitingProcessTest, OneThatIsKilledInACallLeavesItUnknown) {
  ASSERT_TRUE(write("x"));
  const pid_t was = child_.pid();
  pipe_.fill();
  std::jthread killer([&] {
    std::this_thread::sleep_for(50ms);
    ::kill(was, SIGKILL);
  });
  EXPECT_EQ(error_of(write("y")), EOWNERDEAD);
  EXPECT_EQ(abandoned_.pid, 0) << "nothing waits any more";
  EXPECT_EQ(state_of(was), "") << "a zombie";
  pipe_.drain();
  EXPECT_EQ(write("z"), 1U) << "and there is another one";
}

TEST_F(WaitingProcessTest, OneThatIsLeftBehindEndsWhenItsCallReturns) {
  ASSERT_TRUE(write("x"));
  const pid_t was = child_.pid();
  pipe_.fill();
  const auto start = Clock::now();
  EXPECT_EQ(error_of(write("y", {.limit = 100ms})), ETIMEDOUT);
  EXPECT_GE(Clock::now() - start, 100ms);
  EXPECT_EQ(abandoned_.pid, was);
  EXPECT_EQ(state_of(was), "S");
  Pipe other;
  Abandoned none;
  EXPECT_EQ(child_.write(other.in, "z", kPatient, none), 1U) << "the next call has another one";
  EXPECT_EQ(none.pid, 0);
  pipe_.drain();
  EXPECT_TRUE(eventually([&] { return state_of(was) == "Z"; }));
  // Whoever is started next takes what is left of it.
  kill_and_wait(child_.pid());
  EXPECT_EQ(child_.write(other.in, "z", kPatient, none), 1U);
  EXPECT_EQ(state_of(was), "");
}

TEST_F(WaitingProcessTest, AWaitThatWasGivenUpHasAMomentLeft) {
  ASSERT_TRUE(write("x"));
  pipe_.fill();
  std::jthread drain([&] {
    std::this_thread::sleep_for(300ms);
    pipe_.drain();
  });
  const Patience given_up{.limit = 60s, .give_up = [] { return true; }};
  EXPECT_EQ(write("y", given_up), 1U);
  drain.join();
  pipe_.fill();
  const auto start = Clock::now();
  EXPECT_EQ(error_of(write("y", given_up)), ETIMEDOUT);
  EXPECT_LT(Clock::now() - start, 30s);
  pipe_.drain();
}

TEST_F(WaitingProcessTest, HoldsNothingOfOurs) {
  const std::string file = std::filesystem::temp_directory_path() / "anybind-waits-lock";
  Descriptor lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  pipe_.fill();
  EXPECT_EQ(error_of(write("x", {.limit = 50ms})), ETIMEDOUT);
  lock = Descriptor();
  const Descriptor again(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(::flock(again.get(), LOCK_EX | LOCK_NB), 0) << "the lock is held by who was left";
  std::size_t open = 0;
  for (const auto& each :
       std::filesystem::directory_iterator("/proc/" + std::to_string(abandoned_.pid) + "/fd")) {
    (void)each;
    ++open;
  }
  EXPECT_EQ(open, 2U) << "its socket, and the file of the call";
  pipe_.drain();
  std::filesystem::remove(file);
}

TEST_F(WaitingProcessTest, ManyCallsLeaveNoDescriptor) {
  const auto count = [] {
    std::size_t out = 0;
    for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
      (void)each;
      ++out;
    }
    return out;
  };
  ASSERT_TRUE(write("x"));
  const std::size_t before = count();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(write("x"));
    if (i % 10 == 0) kill_and_wait(child_.pid());
  }
  EXPECT_EQ(count(), before);
}

std::atomic<int> handled = 0;

TEST_F(WaitingProcessTest, SignalsAreNotItsBusiness) {
  struct sigaction action{};
  action.sa_handler = [](int) { ++handled; };
  struct sigaction before{};
  ::sigaction(SIGTERM, &action, &before);
  ASSERT_TRUE(write("x"));
  EXPECT_EQ(::getsid(child_.pid()), child_.pid()) << "the terminal's signals would reach it";
  const pid_t was = child_.pid();
  pipe_.fill();
  std::jthread other([&] {
    std::this_thread::sleep_for(50ms);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::kill(was, signal);
    std::this_thread::sleep_for(50ms);
    pipe_.drain();
  });
  EXPECT_EQ(write("y"), 1U);
  EXPECT_EQ(child_.pid(), was);
  EXPECT_EQ(handled, 0) << "our handler ran in the child";
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(::sigismember(&mask, SIGTERM), 0) << "our own mask is as it was";
  ::sigaction(SIGTERM, &before, nullptr);
}

TEST_F(WaitingProcessTest, ASignalOfOursDoesNotEndTheWait) {
  struct sigaction action{};
  action.sa_handler = [](int) { ++handled; };  // without SA_RESTART
  struct sigaction before{};
  ::sigaction(SIGUSR1, &action, &before);
  ASSERT_TRUE(write("x"));
  pipe_.fill();
  const pthread_t self = ::pthread_self();
  std::jthread other([&] {
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(5ms);
      ::pthread_kill(self, SIGUSR1);
    }
    pipe_.drain();
  });
  EXPECT_EQ(write("y"), 1U);
  other.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_F(WaitingProcessTest, WhereNoneCanBeStartedTheCallIsOurs) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  // UBSan looks at an object's type through a pipe, which it cannot have meanwhile.
  auto [child, pipe, abandoned] = std::tie(child_, pipe_, abandoned_);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto written = child.write(pipe.in, "y", kPatient, abandoned);
  const auto text = child.read(pipe.out, kPatient, abandoned);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(written, 1U);
  EXPECT_EQ(text, "y");
  EXPECT_EQ(child_.pid(), 0);
}

TEST(WaitingProcesses, ManyThreadsAtOnce) {
  WaitingProcesses all;
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        Pipe pipe;
        for (int i = 0; i < 50; ++i) {
          auto child = all.take();
          Abandoned abandoned;
          const std::string text = std::to_string(t * 1000 + i);
          const bool is_right = child->write(pipe.in, text, kPatient, abandoned) == text.size() &&
                                child->read(pipe.out, kPatient, abandoned) == text;
          if (!is_right) ++wrong;
          if (i == 20) kill_and_wait(child->pid());
          all.give_back(std::move(child));
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(WaitingProcesses, AProcessThatForksHasItsOwn) {
  WaitingProcesses all;
  Pipe pipe;
  Abandoned abandoned;
  auto child = all.take();
  ASSERT_TRUE(child->write(pipe.in, "x", kPatient, abandoned));
  const pid_t ours = child->pid();
  all.give_back(std::move(child));
  const pid_t fork = ::fork();
  if (fork == 0) {
    auto another = all.take();
    const bool is_right = another->pid() == 0 &&
                          another->write(pipe.in, "y", kPatient, abandoned) == 1U &&
                          another->pid() != ours;
    another.reset();
    ::_exit(is_right ? 0 : 1);
  }
  int status = -1;
  ::waitpid(fork, &status, 0);
  EXPECT_EQ(status, 0);
  child = all.take();
  EXPECT_EQ(child->write(pipe.in, "z", kPatient, abandoned), 1U);
  EXPECT_EQ(child->pid(), ours);
}

}  // namespace
}  // namespace anybind
