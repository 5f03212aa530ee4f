// poke PATH TEXT: writes TEXT to an existing file with exactly one write(2), which a shell's echo does not
// promise. Prints "ok", or "short N" when only N bytes were taken, or the name of the errno; 0 only for "ok".
// In TEXT, \n is a newline, \0 a NUL and \\ a backslash.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static size_t unescape(const char *from, char *to) {
  char *start = to;
  for (; *from != '\0'; ++from) {
    if (*from == '\\' && from[1] != '\0') {
      ++from;
      *to++ = *from == 'n' ? '\n' : *from == '0' ? '\0' : *from;
    } else {
      *to++ = *from;
    }
  }
  return (size_t)(to - start);
}

static int fail(void) {
  const char *name = strerrorname_np(errno);
  printf("%s\n", name != NULL ? name : "an errno without a name");
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fputs("usage: poke PATH TEXT\n", stderr);
    return 2;
  }
  const int fd = open(argv[1], O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fail();
  const size_t size = unescape(argv[2], argv[2]);
  const ssize_t written = write(fd, argv[2], size);
  if (written < 0) return fail();
  if ((size_t)written != size) {
    printf("short %zd\n", written);
    return 1;
  }
  puts("ok");
  return 0;
}
