// Times whole processes, from before the spawn to after the wait. The commands take turns (a b a
// b), so that whatever else the machine does falls on all of them alike.
//
// usage: timerun [-r] COMMAND [::: COMMAND]...
//   -r        print every time, one line a run, not one line a command
// where COMMAND is
//   [-l LABEL] [-n RUNS] [-w WARMUPS] [-p WORDS] [-c WORDS] [-x] PROGRAM [ARGUMENT...]
//   -n, -w    how often (default 11), and how often before that without counting (default 1)
//   -p, -c    a command, in words without quoting, run before each run and after it, outside the
//             time; both must exit with 0: one puts the start state back, the other looks whether
//             the work was done
//   -x        any exit code will do; otherwise it must be 0
//
// Prints, separated by tabs: label, runs, and min, median and max in microseconds; with -r: label,
// round, microseconds, and those that it kept a processor busy. Output of the commands goes to
// /dev/null; what they say on standard error is shown in warm-ups only.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

enum { kMaxCommands = 64, kMaxWords = 4096 };

struct command {
  const char* label;
  char** words;  // NULL at the end
  char** prepare;
  char** check;
  unsigned runs;
  unsigned warmups;
  bool any_code;
  unsigned done;
  double* us;
};

static struct command commands[kMaxCommands];
static size_t command_count;
static posix_spawn_file_actions_t loud, quiet;

static void die(const char* what, const char* why) {
  fprintf(stderr, "timerun: %s: %s\n", what, why);
  exit(1);
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double busy_us(const struct rusage* used) {
  const struct timeval *user = &used->ru_utime, *kernel = &used->ru_stime;
  return (double)(user->tv_sec + kernel->tv_sec) * 1e6 + (double)(user->tv_usec + kernel->tv_usec);
}

struct taken {
  double us;
  double busy_us;
};

// Runs `words` to their end; the wait status, and what it took.
static int run(char** words, const posix_spawn_file_actions_t* actions, struct taken* taken) {
  struct rusage used;
  pid_t child;
  int status;
  const double start = now_us();
  const int error = posix_spawnp(&child, words[0], actions, NULL, words, environ);
  if (error != 0) die(words[0], strerror(error));
  while (wait4(child, &status, 0, &used) < 0) {
    if (errno != EINTR) die(words[0], strerror(errno));
  }
  *taken = (struct taken){.us = now_us() - start, .busy_us = busy_us(&used)};
  return status;
}

static void demand(const struct command* command, char** words, const char* part, bool any_code) {
  struct taken taken;
  if (words == NULL) return;
  const int status = run(words, &loud, &taken);
  if (!WIFEXITED(status) || (!any_code && WEXITSTATUS(status) != 0)) die(command->label, part);
}

static struct taken run_once(struct command* command, bool warmup) {
  struct taken taken;
  char why[64];
  demand(command, command->prepare, "its -p command failed", false);
  const int status = run(command->words, warmup ? &loud : &quiet, &taken);
  if (!WIFEXITED(status)) die(command->label, "ended by a signal");
  if (!command->any_code && WEXITSTATUS(status) != 0) {
    snprintf(why, sizeof why, "exit code %d", WEXITSTATUS(status));
    die(command->label, why);
  }
  demand(command, command->check, "its -c command failed: the work was not done", false);
  return taken;
}

static char** split(char* text) {
  char** words = calloc(kMaxWords, sizeof *words);
  size_t count = 0;
  if (words == NULL) die("memory", "none left");
  for (char* word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
    if (count == kMaxWords - 1) die(text, "too many words");
    words[count++] = word;
  }
  if (count == 0) die("-p or -c", "no words");
  return words;
}

static unsigned number(const char* text) {
  char* end;
  const unsigned long value = strtoul(text, &end, 10);
  if (end == text || *end != '\0' || value > 1000000) die(text, "not a number");
  return (unsigned)value;
}

// Reads one COMMAND; `words` end with NULL.
static void add_command(char** words) {
  if (command_count == kMaxCommands) die("commands", "too many");
  struct command* command = &commands[command_count++];
  *command = (struct command){.runs = 11, .warmups = 1};
  for (; words[0] != NULL && words[0][0] == '-'; ++words) {
    const char option = words[0][1];
    if (option == 'x') {
      command->any_code = true;
      continue;
    }
    if (strchr("lnwpc", option) == NULL || words[1] == NULL)
      die(words[0], "no such option, or no value");
    char* value = *++words;
    if (option == 'l') command->label = value;
    if (option == 'n') command->runs = number(value);
    if (option == 'w') command->warmups = number(value);
    if (option == 'p') command->prepare = split(value);
    if (option == 'c') command->check = split(value);
  }
  if (words[0] == NULL) die("usage", "timerun [-r] COMMAND [::: COMMAND]...");
  command->words = words;
  if (command->label == NULL) command->label = words[0];
  command->us = calloc(command->runs + 1, sizeof *command->us);
  if (command->us == NULL) die("memory", "none left");
}

static int ascending(const void* left, const void* right) {
  const double a = *(const double*)left, b = *(const double*)right;
  return (a > b) - (a < b);
}

static void print_summary(struct command* command) {
  const unsigned runs = command->runs;
  if (runs == 0) return;
  qsort(command->us, runs, sizeof *command->us, ascending);
  const double median = (command->us[(runs - 1) / 2] + command->us[runs / 2]) / 2;
  printf("%s\t%u\t%.1f\t%.1f\t%.1f\n", command->label, runs, command->us[0], median,
         command->us[runs - 1]);
}

// Rounds until no command has any left: each round runs every command that has one.
static void run_rounds(bool warmup, bool raw) {
  for (unsigned round = 0;; ++round) {
    bool any = false;
    for (size_t i = 0; i < command_count; ++i) {
      struct command* command = &commands[i];
      if (round >= (warmup ? command->warmups : command->runs)) continue;
      any = true;
      const struct taken taken = run_once(command, warmup);
      if (warmup) continue;
      command->us[round] = taken.us;
      if (raw) printf("%s\t%u\t%.1f\t%.0f\n", command->label, round, taken.us, taken.busy_us);
    }
    if (!any) return;
  }
}

int main(int argc, char** argv) {
  bool raw = false;
  int at = 1;
  if (argc > 1 && strcmp(argv[1], "-r") == 0) {
    raw = true;
    ++at;
  }
  for (int start = at; at <= argc; ++at) {
    if (at < argc && strcmp(argv[at], ":::") != 0) continue;
    argv[at] = NULL;
    add_command(argv + start);
    start = at + 1;
  }
  posix_spawn_file_actions_init(&loud);
  posix_spawn_file_actions_addopen(&loud, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&loud, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_init(&quiet);
  for (int fd = 0; fd <= 2; ++fd) {
    posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", fd == 0 ? O_RDONLY : O_WRONLY, 0);
  }
  run_rounds(true, raw);
  run_rounds(false, raw);
  for (size_t i = 0; !raw && i < command_count; ++i) print_summary(&commands[i]);
  return 0;
}
