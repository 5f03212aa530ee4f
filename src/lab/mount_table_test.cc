#include "lab/mount_table.h"

#include <gtest/gtest.h>

namespace anybind::lab {
namespace {

TEST(MountTable, IsReadWhateverOptionalFieldsThereAre) {
  const auto mounts = parse_mounts(
      "22 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw\n"
      "23 22 0:21 / /mnt/a\\040b\\134 rw - sysfs sysfs rw\n"
      "24 22\n\n");
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[0].path, "/");
  EXPECT_EQ(mounts[0].type, "ext4");
  EXPECT_EQ(mounts[1].path, "/mnt/a b\\");
  EXPECT_TRUE(is_of_the_kernel(mounts[1].type));
  EXPECT_FALSE(is_of_the_kernel(mounts[0].type));
}

TEST(MountTable, ADirectoryOfTheSystemIsNotForWork) {
  for (const char* path : {"", "/", "/usr", "/usr/local", "/etc/x", "/var", "/run/user/1", "/lib64",
                           "/proc/self", "tmp"}) {
    EXPECT_FALSE(is_for_work(path)) << path;
  }
  for (const char* path :
       {"/tmp", "/root", "/home/me/x", "/usr/src/linux", "/var/lib/ci", "/library", "/usrlocal"}) {
    EXPECT_TRUE(is_for_work(path)) << path;
  }
}

}  // namespace
}  // namespace anybind::lab
