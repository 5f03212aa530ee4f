// The floor under `list`: the system calls that nobody can leave out, by one thread, and nothing
// else: no names, no sorting, no text. It looks at every byte it got and prints how many devices
// there were.
//
// usage: floor_list MODE [SYSFS]
//   min   uevent, the driver link, the iommu_group link: 5 calls a device
//   uev   uevent (it names the driver), the iommu_group link: 4 calls
//   list  uevent, driver_override, the iommu_group link, what `anybind list` must know: 7 calls
//   dir   list, through a descriptor of each device's directory, which is what it takes to be sure
//         that the three are of one and the same device: 9 calls
//   safe  dir, with that descriptor from openat2(2) beneath the root, which is what it takes to be
//         sure that no link of a tree leads out of it: 9 calls
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct mode {
  const char* name;
  bool driver_link;
  bool override;
  bool through_directory;
  bool beneath;
};

static const struct mode modes[] = {
    {"min", true, false, false, false},  {"uev", false, false, false, false},
    {"list", false, true, false, false}, {"dir", false, true, true, false},
    {"safe", false, true, true, true},
};

#define BUS "bus/pci/devices"

static volatile unsigned long touched;

static void touch(const char* bytes, ssize_t count) {
  unsigned long sum = 0;
  for (ssize_t i = 0; i < count; ++i) sum += (unsigned char)bytes[i];
  touched += sum;
}

static void stop(const char* what) {
  perror(what);
  exit(1);
}

// Absent is an answer (no driver, no IOMMU, a device that has just gone); anything else is not.
static bool absent(const char* path) {
  if (errno != ENOENT && errno != ENODEV) stop(path);
  return true;
}

static bool read_attribute(int dir, const char* path) {
  char text[4096];
  const int file = openat(dir, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return !absent(path);
  const ssize_t count = read(file, text, sizeof text);
  if (count < 0) stop(path);
  close(file);
  touch(text, count);
  return true;
}

static void read_link(int dir, const char* path) {
  char target[512];
  const ssize_t count = readlinkat(dir, path, target, sizeof target);
  if (count < 0) {
    absent(path);
    return;
  }
  touch(target, count);
}

static int open_device(int root, int bus, const char* name, const struct mode* mode) {
  if (!mode->beneath) return openat(bus, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                               .resolve = RESOLVE_BENEATH};
  char path[NAME_MAX + 32] = BUS "/";
  strcat(path, name);
  // A rename anywhere on the machine can make it answer EAGAIN: as anybind does, again, and at last
  // with pauses.
  for (int i = 0; i < 1000; ++i) {
    const long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN) return fd;
    if (i >= 8) usleep(1000);
  }
  return -1;
}

static bool read_device(int root, int bus, const char* name, const struct mode* mode) {
  char path[NAME_MAX + 32];
  char* leaf = path;
  int dir = bus;
  if (mode->through_directory) {
    dir = open_device(root, bus, name, mode);
    if (dir < 0) return !absent(name);
  } else {
    leaf = stpcpy(path, name);
    *leaf++ = '/';
  }
  strcpy(leaf, "uevent");
  const bool there = read_attribute(dir, path);
  if (there) {
    if (mode->override) {
      strcpy(leaf, "driver_override");
      read_attribute(dir, path);
    }
    if (mode->driver_link) {
      strcpy(leaf, "driver");
      read_link(dir, path);
    }
    strcpy(leaf, "iommu_group");
    read_link(dir, path);
  }
  if (mode->through_directory) close(dir);
  return there;
}

struct entry {  // as getdents64(2) lays it out
  unsigned long inode;
  long offset;
  unsigned short length;
  unsigned char type;
  char name[];
};

static unsigned long read_bus(int root, int bus, const struct mode* mode) {
  static _Alignas(struct entry) char buffer[32768];
  unsigned long devices = 0;
  for (;;) {
    const long filled = syscall(SYS_getdents64, bus, buffer, sizeof buffer);
    if (filled < 0) stop("getdents64");
    if (filled == 0) return devices;
    for (long at = 0; at < filled;) {
      const struct entry* entry = (const struct entry*)(buffer + at);
      at += entry->length;
      if (entry->name[0] == '.') continue;
      devices += read_device(root, bus, entry->name, mode);
    }
  }
}

int main(int argc, char** argv) {
  const struct mode* mode = NULL;
  for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; ++i) {
    if (strcmp(argv[1], modes[i].name) == 0) mode = &modes[i];
  }
  if (mode == NULL || argc > 3) {
    fputs("usage: floor_list min|uev|list|dir|safe [SYSFS]\n", stderr);
    return 2;
  }
  const int root = open(argc > 2 ? argv[2] : "/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int bus = openat(root, BUS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0 || bus < 0) stop(BUS);
  printf("%lu\n", read_bus(root, bus, mode));
  return 0;
}
