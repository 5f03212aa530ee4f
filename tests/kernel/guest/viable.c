// viable GROUP: can user space have this IOMMU group? Opens /dev/vfio/GROUP and asks; prints "viable" (0),
// "not viable" (1), or the name of the errno (1).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv) {
  char path[64];
  struct vfio_group_status status = {.argsz = sizeof status};
  if (argc != 2) {
    fputs("usage: viable GROUP\n", stderr);
    return 2;
  }
  snprintf(path, sizeof path, "/dev/vfio/%s", argv[1]);
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || ioctl(fd, VFIO_GROUP_GET_STATUS, &status) != 0) {
    puts(strerrorname_np(errno));
    return 1;
  }
  const int viable = (status.flags & VFIO_GROUP_FLAGS_VIABLE) != 0;
  puts(viable ? "viable" : "not viable");
  return viable ? 0 : 1;
}
