#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

int clinux_accept(int listener, struct sockaddr *address, socklen_t *length) {
  int descriptor = accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return descriptor >= 0 ? descriptor : -errno;
}

int clinux_socket(int family) {
  int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return descriptor >= 0 ? descriptor : -errno;
}

ssize_t clinux_send(int descriptor, const void *first, size_t first_count, const void *second, size_t second_count) {
  ssize_t sent;
  do {
    if (second_count == 0) {
      sent = send(descriptor, first, first_count, MSG_NOSIGNAL);
    } else {
      struct iovec parts[2] = {{(void *)first, first_count}, {(void *)second, second_count}};
      struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
      sent = sendmsg(descriptor, &message, MSG_NOSIGNAL);
    }
  } while (sent < 0 && errno == EINTR);
  return sent >= 0 ? sent : -errno;
}

static ssize_t receive(int descriptor, void *buffer, size_t count, int flags) {
  ssize_t got;
  do got = recv(descriptor, buffer, count, flags);
  while (got < 0 && errno == EINTR);
  return got >= 0 ? got : -errno;
}

ssize_t clinux_receive(int descriptor, void *buffer, size_t count) { return receive(descriptor, buffer, count, 0); }

ssize_t clinux_peek(int descriptor, void *buffer, size_t count) { return receive(descriptor, buffer, count, MSG_PEEK); }
