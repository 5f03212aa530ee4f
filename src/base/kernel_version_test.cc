#include "base/kernel_version.h"

#include <gtest/gtest.h>

namespace anybind {
namespace {

TEST(KernelVersionTest, IsReadFromAReleaseAndFromAName) {
  EXPECT_EQ(KernelVersion::parse("6.12.117-amd64"), (KernelVersion{6, 12}));
  EXPECT_EQ(KernelVersion::parse("7.3"), (KernelVersion{7, 3}));
  EXPECT_EQ(KernelVersion::parse("7.1-rc2"), (KernelVersion{7, 1}));
  EXPECT_EQ(KernelVersion::parse("6.12+deb13"), (KernelVersion{6, 12}));
  for (const char* text : {"", "6", "6.", ".12", "six.1", "6.x", "6,12", "6.99999"})
    EXPECT_EQ(KernelVersion::parse(text), std::nullopt) << text;
  EXPECT_EQ((KernelVersion{6, 12}).str(), "6.12");
}

TEST(KernelVersionTest, IsComparedAsNumbers) {
  EXPECT_LT((KernelVersion{6, 2}), (KernelVersion{6, 12}));
  EXPECT_LT((KernelVersion{6, 19}), (KernelVersion{7, 0}));
}

}  // namespace
}  // namespace anybind
