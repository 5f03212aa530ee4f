#include "base/check.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include <gtest/gtest.h>

namespace anybind {
namespace {

/// What `fails` writes to standard error, and how it ends: in a process of its own.
std::string told_by(void (*fails)(), int& status) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    fails();
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string out;
  char bytes[1024];
  for (ssize_t got = 0; (got = ::read(ends[0], bytes, sizeof bytes)) > 0;)
    out.append(bytes, static_cast<std::size_t>(got));
  ::close(ends[0]);
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return out;
}

TEST(Check, EndsTheProcessByAbortWithOneLineThatSaysWhereAndWhat) {
  int status = 0;
  const std::string told = told_by([] { CHECK(1 + 1 == 3, "sums are right"); }, status);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  EXPECT_EQ(told.find("anybind: src/base/check_test.cc:"), 0U) << told;
  EXPECT_TRUE(told.ends_with(": not so: sums are right\n")) << told;
  EXPECT_EQ(told.find('\n'), told.size() - 1);
}

TEST(Check, CutsALineThatIsTooLong) {
  int status = 0;
  const std::string told =
      told_by([] { check_failed("a.cc", 7, std::string(4096, 'x').c_str()); }, status);
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  EXPECT_EQ(told.size(), 512U);
  EXPECT_EQ(told.find("anybind: a.cc:7: not so: xxx"), 0U) << told;
  EXPECT_TRUE(told.ends_with("x\n"));
}

TEST(Check, DoesNothingWhenAllIsAsItMustBe) {
  int looked = 0;
  CHECK(++looked == 1, "it is looked at once");
  EXPECT_EQ(looked, 1);
}

TEST(Check, IsOnInThisBuildWhateverItIs) {
  EXPECT_DEATH(CHECK(false, "never"), "check_test.cc:[0-9]+: not so: never");
}

TEST(Check, NamesFilesWithoutThePathOfTheMachineThatBuiltThem) {
  static_assert(std::string_view(internal::short_file("/home/x/src/any/src/base/a.cc")) ==
                "src/base/a.cc");
  static_assert(std::string_view(internal::short_file("/home/x/tests/a.cc")) == "a.cc");
  static_assert(std::string_view(internal::short_file("a.cc")) == "a.cc");
}

}  // namespace
}  // namespace anybind
