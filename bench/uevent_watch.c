/* How long after the kernel told of a card is it kept for a driver? uevent_watch ADDRESS DRIVER COUNT
 *
 * For each "add" event of the card: the time from the moment at which an ordinary listener has the event to the one
 * at which driver_override holds DRIVER, in microseconds, a line each; "never" after 30 seconds. */
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int holds(const char* path, const char* driver) {
  char text[128];
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size <= 0) return 0;
  text[size] = 0;
  text[strcspn(text, "\n")] = 0;
  return strcmp(text, driver) == 0;
}

int main(int count, char** words) {
  if (count != 4) return 2;
  struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_groups = 1};
  const int events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
  if (events < 0 || bind(events, (struct sockaddr*)&to, sizeof to) != 0) return 1;
  char path[256];
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/driver_override", words[1]);
  puts("ready");
  fflush(stdout);
  for (int left = atoi(words[3]); left > 0;) {
    char event[8192];
    const ssize_t size = recv(events, event, sizeof event - 1, 0);
    if (size <= 0) continue;
    event[size] = 0;
    const double began = now();
    const char* name = strrchr(event, '/');
    if (strncmp(event, "add@", 4) != 0 || name == NULL || strcmp(name + 1, words[1]) != 0) continue;
    while (!holds(path, words[2]) && now() - began < 30e6) usleep(50);
    const double ended = now();
    if (ended - began < 30e6) {
      printf("%.0f\n", ended - began);
    } else {
      puts("never");
    }
    fflush(stdout);
    --left;
  }
  return 0;
}
