// Calls of Linux and of the C library in a form that Swift can use: the event of epoll is a packed union, and many
// flags are macros, neither of which Swift imports.
#ifndef CLINUX_H
#define CLINUX_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// One readiness report.
typedef struct {
  uint64_t token;    // as given when the descriptor was added
  uint32_t readable; // data, the end of the stream or an error can be read
  uint32_t writable; // data can be sent, or sending fails at once
  uint32_t ended;    // the peer sends nothing more, though it may still read
  uint32_t gone;     // both directions are closed, by a reset or an error
} clinux_event;

// Functions that return a value return a descriptor, a count or 0 on success, and -errno on failure.

int clinux_epoll_create(void);
// Watches for reading only, level-triggered. For listeners and the wake-up descriptor.
int clinux_epoll_add_listener(int epoll, int descriptor, uint64_t token);
// Watches for reading, writing and hang-up, edge-triggered. For connections, which are added once and never changed.
int clinux_epoll_add_connection(int epoll, int descriptor, uint64_t token);
int clinux_epoll_remove(int epoll, int descriptor);
// Waits for events and writes at most `capacity` of them (and at most 256) to `events`. A negative timeout waits
// without limit; a signal ends the wait with 0 events.
int clinux_epoll_wait(int epoll, clinux_event *events, int capacity, int timeout_milliseconds);

// Creates a descriptor that does not block, by which other threads and signal handlers wake an event loop.
int clinux_eventfd(void);
// Makes the descriptor readable, with one system call. Safe in a signal handler.
void clinux_eventfd_signal(int descriptor);
// Makes the descriptor unreadable again.
void clinux_eventfd_clear(int descriptor);

// Returns to the system the freed memory that the C library keeps.
void clinux_give_back_memory(void);

// The number of cores that the scheduler may run this process on; 0 when the system does not say.
int clinux_granted_cores(void);

// Limits the number of heaps (arenas) of the C library; threads share them. To be called before many threads exist.
void clinux_limit_heaps(int count);

// Both return sockets that do not block and that no child process inherits. The first fills `address`, which has room for `*length` bytes, with
// that of the other end, as accept(2) does.
int clinux_accept(int listener, struct sockaddr *address, socklen_t *length);
int clinux_socket(int family);

// Sends up to two buffers with one system call, without SIGPIPE. Returns the number of bytes that were sent.
ssize_t clinux_send(int descriptor, const void *first, size_t first_count, const void *second, size_t second_count);
// Receives at most `count` bytes; 0 is the end of the stream.
ssize_t clinux_receive(int descriptor, void *buffer, size_t count);
// The same, but the bytes stay there to be received again.
ssize_t clinux_peek(int descriptor, void *buffer, size_t count);

#ifdef __cplusplus
}
#endif
#endif
