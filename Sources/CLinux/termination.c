#ifdef __linux__
#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t terminations;
static volatile sig_atomic_t target = -1;

static void terminate(int signal) {
  (void)signal;
  terminations = terminations + 1;
  if (target >= 0) clinux_eventfd_signal(target);
}

int clinux_signal_on_termination(int eventfd) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = terminate;
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  target = eventfd;
  if (eventfd < 0) return 0;
  if (sigaction(SIGTERM, &action, 0) != 0 || sigaction(SIGINT, &action, 0) != 0) return -errno;
  return 0;
}

int clinux_terminations(void) { return terminations; }
#endif
