// The calls of Linux and of the C library that the event loop and the store need, in a form that Swift can use: epoll's event is a packed
// union, and many flags are macros.
#ifndef CLINUX_H
#define CLINUX_H

#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// One readiness report.
typedef struct {
  uint64_t token;    // as given to clinux_epoll_add
  uint32_t readable; // bytes, an end or an error can be read
  uint32_t writable;
  uint32_t ended; // the peer will send nothing more, though it may still read
  uint32_t gone;  // both directions are dead: reset, or an error
} clinux_event;

// All of these return a descriptor, a count or 0; on failure -errno.

int clinux_epoll_create(void);
// Watches for reading only, level-triggered: for listeners and the wake-up descriptor.
int clinux_epoll_add_listener(int epoll, int descriptor, uint64_t token);
// Watches for reading, writing and hang-up, edge-triggered: for connections, which are registered once and never changed.
int clinux_epoll_add_connection(int epoll, int descriptor, uint64_t token);
int clinux_epoll_remove(int epoll, int descriptor);
// At most `capacity` events into `events`. A negative timeout waits for ever. A signal gives 0 events.
int clinux_epoll_wait(int epoll, clinux_event *events, int capacity, int timeout_milliseconds);

int clinux_eventfd(void);
// Makes the descriptor readable, with one system call. Safe in a signal handler.
void clinux_eventfd_signal(int descriptor);
void clinux_eventfd_clear(int descriptor);

// Gives freed memory that the C library keeps back to the system.
void clinux_give_back_memory(void);

// Lets threads share at most so many heaps. To be called before there are many threads.
void clinux_limit_heaps(int count);

// Both make sockets that do not block and that no child process inherits.
int clinux_accept(int listener);
int clinux_socket(int family);

// Sends up to two buffers with one call. Raises no SIGPIPE.
ssize_t clinux_send(int descriptor, const void *first, size_t first_count, const void *second, size_t second_count);
ssize_t clinux_receive(int descriptor, void *buffer, size_t count);

#ifdef __cplusplus
}
#endif
#endif
