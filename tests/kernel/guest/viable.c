// viable GROUP: can user space have this IOMMU group? Opens /dev/vfio/GROUP and asks; prints "viable" (0),
// "not viable" (1), or the name of the errno (1).
// viable GROUP DEVICE SECONDS: takes the group, opens the device, prints "open" and keeps it so long.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int hold(int group, const char *device, const char *seconds) {
  const int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
  if (container < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) != 0 ||
      ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) != 0 || ioctl(group, VFIO_GROUP_GET_DEVICE_FD, device) < 0) {
    puts(strerrorname_np(errno));
    return 1;
  }
  puts("open");
  fflush(stdout);
  sleep((unsigned)atoi(seconds));
  return 0;
}

int main(int argc, char **argv) {
  char path[64];
  struct vfio_group_status status = {.argsz = sizeof status};
  if (argc != 2 && argc != 4) {
    fputs("usage: viable GROUP [DEVICE SECONDS]\n", stderr);
    return 2;
  }
  snprintf(path, sizeof path, "/dev/vfio/%s", argv[1]);
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || ioctl(fd, VFIO_GROUP_GET_STATUS, &status) != 0) {
    puts(strerrorname_np(errno));
    return 1;
  }
  if (argc == 4) return hold(fd, argv[2], argv[3]);
  const int viable = (status.flags & VFIO_GROUP_FLAGS_VIABLE) != 0;
  puts(viable ? "viable" : "not viable");
  return viable ? 0 : 1;
}
