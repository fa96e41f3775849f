#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH = 256 };

static int add(int epoll, int descriptor, uint64_t token, uint32_t flags) {
  struct epoll_event event = {.events = flags, .data.u64 = token};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : -errno;
}

int clinux_epoll_create(void) {
  int descriptor = epoll_create1(EPOLL_CLOEXEC);
  return descriptor >= 0 ? descriptor : -errno;
}

int clinux_epoll_add_listener(int epoll, int descriptor, uint64_t token) {
  return add(epoll, descriptor, token, EPOLLIN);
}

int clinux_epoll_add_connection(int epoll, int descriptor, uint64_t token) {
  return add(epoll, descriptor, token, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int clinux_epoll_remove(int epoll, int descriptor) {
  return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, 0) == 0 ? 0 : -errno;
}

int clinux_epoll_wait(int epoll, clinux_event *events, int capacity, int timeout_milliseconds) {
  struct epoll_event raw[BATCH];
  int count = epoll_wait(epoll, raw, capacity < BATCH ? capacity : BATCH, timeout_milliseconds);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) {
    uint32_t flags = raw[i].events;
    events[i].token = raw[i].data.u64;
    events[i].readable = (flags & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    events[i].writable = (flags & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    events[i].ended = (flags & EPOLLRDHUP) != 0;
    events[i].gone = (flags & (EPOLLHUP | EPOLLERR)) != 0;
  }
  return count;
}

int clinux_eventfd(void) {
  int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return descriptor >= 0 ? descriptor : -errno;
}

void clinux_eventfd_signal(int descriptor) {
  uint64_t one = 1;
  int saved = errno;
  // This fails only when the counter is full, and then the descriptor is readable already.
  ssize_t written = write(descriptor, &one, sizeof one);
  (void)written;
  errno = saved;
}

void clinux_eventfd_clear(int descriptor) {
  uint64_t count;
  ssize_t got = read(descriptor, &count, sizeof count);
  (void)got;
}
