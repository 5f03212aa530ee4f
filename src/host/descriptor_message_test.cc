#include "host/descriptor_message.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

namespace anybind {
namespace {

class DescriptorMessageTest : public testing::Test {
 protected:
  DescriptorMessageTest() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_.data()), 0);
  }
  ~DescriptorMessageTest() override {
    for (const int end : ends_) ::close(end);
  }
  ssize_t send(std::string text, int file = -1) {
    return DescriptorMessage(text.data(), text.size()).send(ends_[0], file);
  }

  std::array<int, 2> ends_{};
  std::array<char, 2> head_{};
  std::array<char, 16> body_{};
  DescriptorMessage message_{head_.data(), head_.size(), body_.data(), body_.size()};
};

TEST_F(DescriptorMessageTest, CarriesAnOpenFileWhichIsClosedOnExec) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  EXPECT_EQ(send("hello", pipe[1]), 5);
  int came = -1;
  EXPECT_EQ(message_.receive(ends_[1], &came), 5);
  EXPECT_EQ(std::string(head_.data(), 2) + std::string(body_.data(), 3), "hello");
  ASSERT_GE(came, 0);
  EXPECT_NE(came, pipe[1]);
  EXPECT_EQ(::fcntl(came, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::write(came, "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(pipe[0], &byte, 1), 1);
  for (const int file : {came, pipe[0], pipe[1]}) ::close(file);
}

TEST_F(DescriptorMessageTest, WithoutOneThereIsNone) {
  EXPECT_EQ(send("hi"), 2);
  int came = 7;
  EXPECT_EQ(message_.receive(ends_[1], &came), 2);
  EXPECT_EQ(came, -1);
}

TEST_F(DescriptorMessageTest, WhoDoesNotAskForOneGetsNone) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  EXPECT_EQ(send("hi", pipe[1]), 2);
  ::close(pipe[1]);
  EXPECT_EQ(message_.receive(ends_[1]), 2);
  char byte = 0;
  EXPECT_EQ(::read(pipe[0], &byte, 1), 0) << "the other end is still open somewhere";
  ::close(pipe[0]);
}

TEST_F(DescriptorMessageTest, TellsThatTheOtherEndIsGone) {
  ::close(ends_[0]);
  EXPECT_EQ(message_.receive(ends_[1]), 0);
  char byte = 'x';
  EXPECT_EQ(DescriptorMessage(&byte, 1).send(ends_[1]), -1);
  EXPECT_EQ(errno, EPIPE);
  ends_[0] = -1;
}

}  // namespace
}  // namespace anybind
