// The floor under `bind` and `restore`: open, write and close the files that must be written, look
// once at where the driver link points, and nothing else: no plan, no check before, no undo.
//
// usage: floor_bind [-s SYSFS] [-c] MODE ADDRESS...
//   -c            let a child do the unbinds, one at a time: what it costs that one may never return
//   bind DRIVER   set the override, unbind, probe; exit code 1 if a device is not bound to DRIVER
//   restore       clear the override, unbind, probe
//   none          clear the override, unbind: the state that each round starts from
//   bound DRIVER  writes nothing; exit code 1 unless all are bound to DRIVER ("none": to nothing)
//   check DRIVER  the same, and the override must agree
//
// bind costs 8 calls for a device without a driver and 10 for one that has one.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int pci;         // SYSFS/bus/pci
static int child = -1;  // a socket to the child

static void stop(const char* path) {
  perror(path);
  exit(1);
}

// False: the file is not there, which is how a device without a driver looks.
static bool put(const char* path, const char* text) {
  const int file = openat(pci, path, O_WRONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return false;
  if (file < 0) stop(path);
  const size_t length = strlen(text);
  if (write(file, text, length) != (ssize_t)length) stop(path);
  close(file);
  return true;
}

static const char* of_device(const char* address, const char* attribute) {
  static char path[256];
  const int length = snprintf(path, sizeof path, "devices/%s/%s", address, attribute);
  if (length < 0 || (size_t)length >= sizeof path) stop(address);
  return path;
}

static void unbind(const char* address) {
  put(of_device(address, "driver/unbind"), address);
}

static void start_child(void) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) stop("socketpair");
  const pid_t pid = fork();
  if (pid < 0) stop("fork");
  child = ends[pid == 0];
  close(ends[pid != 0]);
  char address[64];
  while (pid == 0) {
    const ssize_t count = read(child, address, sizeof address - 1);
    if (count <= 0) _exit(0);
    address[count] = '\0';
    unbind(address);
    if (write(child, "", 1) != 1) _exit(1);
  }
}

static void unbind_in_child(const char* address) {
  char answer;
  const size_t length = strlen(address);
  if (write(child, address, length) != (ssize_t)length || read(child, &answer, 1) != 1) stop("child");
}

static bool bound_to(const char* address, const char* driver) {
  char target[512];
  const ssize_t count = readlinkat(pci, of_device(address, "driver"), target, sizeof target - 1);
  if (count < 0 && errno != ENOENT) stop(address);
  if (count < 0) return strcmp(driver, "none") == 0;
  target[count] = '\0';
  const char* slash = strrchr(target, '/');
  return strcmp(slash == NULL ? target : slash + 1, driver) == 0;
}

static bool override_is(const char* address, const char* driver) {
  char text[256];
  const int file = openat(pci, of_device(address, "driver_override"), O_RDONLY | O_CLOEXEC);
  const ssize_t count = file < 0 ? -1 : read(file, text, sizeof text - 1);
  if (count < 0) stop(address);
  close(file);
  text[count] = '\0';
  text[strcspn(text, "\n")] = '\0';
  return strcmp(text, strcmp(driver, "none") == 0 ? "(null)" : driver) == 0;
}

static bool change(const char* address, const char* override, bool probe) {
  if (!put(of_device(address, "driver_override"), override)) {
    fprintf(stderr, "no such device: %s\n", address);
    return false;
  }
  if (child < 0) {
    unbind(address);
  } else {
    unbind_in_child(address);
  }
  if (probe && !put("drivers_probe", address)) stop("drivers_probe");
  return true;
}

static bool do_one(const char* mode, const char* driver, const char* address) {
  if (strcmp(mode, "bind") == 0) return change(address, driver, true) && bound_to(address, driver);
  if (strcmp(mode, "bound") == 0) return bound_to(address, driver);
  if (strcmp(mode, "check") == 0) return bound_to(address, driver) && override_is(address, driver);
  const bool probe = strcmp(mode, "restore") == 0;
  if (!change(address, "\n", probe)) return false;
  if (probe) (void)bound_to(address, "none");  // whatever it has now is what matches it
  return true;
}

int main(int argc, char** argv) {
  const char* sysfs = "/sys";
  int at = 1;
  if (argc > 2 && strcmp(argv[1], "-s") == 0) {
    sysfs = argv[2];
    at = 3;
  }
  const bool in_child = at < argc && strcmp(argv[at], "-c") == 0;
  if (in_child) ++at;
  const char* mode = at < argc ? argv[at++] : "";
  const bool with_driver =
      strcmp(mode, "bind") == 0 || strcmp(mode, "bound") == 0 || strcmp(mode, "check") == 0;
  const bool without = strcmp(mode, "restore") == 0 || strcmp(mode, "none") == 0;
  if (!(with_driver && at < argc) && !without) {
    fputs(
        "usage: floor_bind [-s SYSFS] [-c] {bind|bound|check} DRIVER ADDRESS...\n"
        "       floor_bind [-s SYSFS] [-c] {restore|none} ADDRESS...\n",
        stderr);
    return 2;
  }
  const char* driver = with_driver ? argv[at++] : "none";
  const int root = open(sysfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
  pci = openat(root, "bus/pci", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0 || pci < 0) stop("bus/pci");
  if (in_child) start_child();
  bool all = true;
  for (; at < argc; ++at) all &= do_one(mode, driver, argv[at]);
  return all ? 0 : 1;
}
