// The floor under what anybind promises: the system calls of `bind` and `restore` that look before
// and after, remember, and survive a crash and a write that never returns, in C and with fixed
// texts. No argument is checked, nothing is taken back: this shows only what the promises cost in
// the kernel.
//
// usage: floor_safe {bind DRIVER|restore} ADDRESS...      of PCI devices; restore: to no driver
//
//   remembered    a lock; what there was and what is intended, written and synced before the first
//                 write, in a journal and in a record of origins; what is done, appended
//   looked at     through a handle of each device: which card it is, driver, override, for bind
//                 class and group (the members of each once), for restore the power state
//   guarded       restore: twice, every process's open files, and each device's virtual functions
//   proven        the override read back, the driver link after each bind and unbind
//   given up      restore: each unbind in a child, waited for with a limit
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMost = 1024, kRow = 220 };  // a row is as long as anybind's

static int pci;     // SYSFS/bus/pci
static int store;   // a directory of our own
static int driver;  // the directory of the driver that devices go to or leave
static int child;   // a socket to it
static int dirs[kMost];
static char text[4097];

static void stop(const char* what) {
  perror(what);
  exit(1);
}

static int must(int result, const char* what) {
  if (result < 0) stop(what);
  return result;
}

/// False: there is no such file.
static bool get(int dir, const char* name) {
  const int file = openat(dir, name, O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return false;
  text[must((int)read(must(file, name), text, sizeof text - 1), name)] = '\0';
  close(file);
  return true;
}

/// The last word of a link; empty when there is none.
static const char* target(int dir, const char* name) {
  const ssize_t count = readlinkat(dir, name, text, sizeof text - 1);
  text[count < 0 ? 0 : count] = '\0';
  const char* slash = strrchr(text, '/');
  return slash == NULL ? text : slash + 1;
}

static int each_entry(int dir, const char* path, int (*f)(int, const char*)) {
  int sum = 0;
  DIR* stream = fdopendir(openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (stream == NULL) return 0;
  for (const struct dirent* entry = readdir(stream); entry != NULL; entry = readdir(stream))
    if (entry->d_name[0] != '.') sum += f(dirfd(stream), entry->d_name);
  closedir(stream);
  return sum;
}

static int one(int dir, const char* name) {
  (void)dir;
  (void)name;
  return 1;
}

static int is_vfio(int dir, const char* name) {
  struct stat status;
  return fstatat(dir, name, &status, 0) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == 0;
}

/// Linux counts the open files since 6.2; most processes are the kernel's and have none.
static int files_of(int proc, const char* pid) {
  char path[300];
  struct stat status;
  snprintf(path, sizeof path, "%s/fd", pid);
  if (pid[0] < '0' || pid[0] > '9' || fstatat(proc, path, &status, 0) != 0) return 0;
  return status.st_size == 0 ? 0 : each_entry(proc, path, is_vfio);
}

static void look_at_users(int count) {
  if (each_entry(AT_FDCWD, "/proc", files_of) != 0) exit(3);
  for (int i = 0; i < count; ++i) {
    (void)target(dirs[i], "driver");
    if (get(dirs[i], "sriov_numvfs") && strcmp(text, "0\n") != 0) exit(3);
  }
}

/// A file of `rows` rows, there for good.
static int remember(const char* name, int rows) {
  const int file = must(openat(store, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), name);
  char* bytes = calloc((size_t)rows, kRow);
  if (bytes == NULL) stop(name);
  memset(bytes, '.', (size_t)rows * kRow);
  must((int)write(file, bytes, (size_t)rows * kRow), name);
  free(bytes);
  must(fsync(file), name);
  return file;
}

static int serve(void* sockets) {
  char address[64];
  const int end = ((int*)sockets)[1];
  close(((int*)sockets)[0]);  // or we would wait for ourselves
  for (;;) {
    const ssize_t size = read(end, address, sizeof address);
    if (size <= 0) _exit(0);
    const int file = openat(driver, "unbind", O_WRONLY | O_CLOEXEC);
    if (write(file, address, (size_t)size) < 0 || close(file) != 0 || write(end, "", 1) != 1)
      _exit(1);
  }
}

/// It shares our memory, which spares the processor two changes of address space a write.
static void start_child(void) {
  static int ends[2];
  static char stack[65536] __attribute__((aligned(16)));
  must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
  must(clone(serve, stack + sizeof stack, CLONE_VM | SIGCHLD, ends), "clone");
  child = ends[0];
  const struct timeval limit = {.tv_sec = 10};
  must(setsockopt(child, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "socket");
}

static void put(int dir, const char* name, const char* bytes) {
  const int file = must(openat(dir, name, O_WRONLY | O_CLOEXEC), name);
  must((int)write(file, bytes, strlen(bytes)), name);
  close(file);
}

static void set_override(int dir, const char* bytes, const char* want) {
  const int file = must(openat(dir, "driver_override", O_RDWR | O_CLOEXEC), "driver_override");
  must((int)write(file, bytes, strlen(bytes)), "driver_override");
  text[must((int)pread(file, text, sizeof text - 1, 0), "driver_override")] = '\0';
  close(file);
  text[strcspn(text, "\n")] = '\0';
  if (strcmp(text, want) != 0) exit(1);
}

static void look_at(int dir, bool binds) {
  static char seen[kMost];  // groups
  struct stat status;
  must(fstat(dir, &status), "device");
  (void)target(dir, "driver");
  get(dir, "driver_override");
  if (!binds) get(dir, "power_state");
  if (!binds) return;
  get(dir, "class");
  const int group = atoi(target(dir, "iommu_group")) % kMost;
  char path[64];
  snprintf(path, sizeof path, "../../kernel/iommu_groups/%d/devices", group);
  if (seen[group]++ == 0) each_entry(pci, path, one);
}

int main(int argc, char** argv) {
  const bool binds = argc > 3 && strcmp(argv[1], "bind") == 0;
  if (!binds && !(argc > 2 && strcmp(argv[1], "restore") == 0)) {
    fputs("usage: floor_safe {bind DRIVER|restore} ADDRESS...\n", stderr);
    return 2;
  }
  char** addresses = argv + (binds ? 3 : 2);
  const int count = argc - (binds ? 3 : 2);
  if (count > kMost) return 2;
  pci = must(open("/sys/bus/pci", O_PATH | O_DIRECTORY | O_CLOEXEC), "/sys/bus/pci");
  if (mkdir("/run/floor_safe", 0700) != 0 && errno != EEXIST) stop("/run/floor_safe");
  store = must(open("/run/floor_safe", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "/run/floor_safe");
  const int lock = must(openat(store, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600), "lock");
  must(flock(lock, LOCK_EX), "lock");

  char path[300];
  for (int i = 0; i < count; ++i) {
    snprintf(path, sizeof path, "devices/%s", addresses[i]);
    dirs[i] = must(openat(pci, path, O_PATH | O_DIRECTORY | O_CLOEXEC), path);
    look_at(dirs[i], binds);
  }
  snprintf(path, sizeof path, "drivers/%.200s", binds ? argv[2] : target(dirs[0], "driver"));
  driver = must(openat(pci, path, O_PATH | O_DIRECTORY | O_CLOEXEC), path);

  if (!binds) look_at_users(count);
  const int journal = remember("journal", count);
  must(fsync(store), "store");
  if (binds) {
    close(remember("origins.new", count));
    must(renameat(store, "origins.new", store, "origins"), "origins");
    must(fsync(store), "store");
  } else {
    look_at_users(count);
    start_child();
  }
  for (int i = 0; i < count; ++i) {
    set_override(dirs[i], binds ? argv[2] : "\n", binds ? argv[2] : "(null)");
    if (binds) {
      put(driver, "bind", addresses[i]);
    } else {
      char answer;
      must((int)send(child, addresses[i], strlen(addresses[i]), 0), "child");
      must((int)recv(child, &answer, 1, 0), "child");
    }
    if (strcmp(target(dirs[i], "driver"), binds ? argv[2] : "") != 0) return 1;
    dprintf(journal, "%28d\n", i);
  }
  must(renameat(store, "journal", store, "done"), "journal");
  if (binds) return 0;
  close(child);
  must(wait(NULL), "child");
  close(remember("origins", 1));
  return 0;
}
