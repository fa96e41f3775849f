// The functions of libcrypto and libssl that Nearfar uses.
#ifndef NEARFAR_COPENSSL_H
#define NEARFAR_COPENSSL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct nf_sha256 nf_sha256;

// SHA-256 (FIPS 180-4) of data that arrives in pieces. `begin` returns NULL on failure; `update` and `finish` return 0
// on success. `finish` writes 32 bytes to `digest`, and frees the state even when it fails.
nf_sha256 *nf_sha256_begin(void);
int nf_sha256_update(nf_sha256 *state, const void *bytes, size_t count);
int nf_sha256_finish(nf_sha256 *state, unsigned char digest[32]);
// 1 for equal digests and 0 for others, in the same time whatever they are.
int nf_equal_digests(const unsigned char left[32], const unsigned char right[32]);

// Base64 (RFC 4648, section 4) of `count` bytes, at most 1 GiB, without an end mark. `text` has room for 4 bytes for each three that are begun, and one
// more. Returns the length of the text; negative on failure.
int nf_base64(const void *bytes, size_t count, unsigned char *text);

// TLS 1.2 and 1.3. A context holds what all connections of a listener or of a client share. A session is one connection over a
// connected stream socket; it neither owns nor closes the socket. A context may be used by several threads at once, a session by one at
// a time.

typedef struct nf_tls_context nf_tls_context;
typedef struct nf_tls_session nf_tls_session;
// The keys that encrypt session tickets. They are made anew every hour; a ticket is accepted for two to three hours.
typedef struct nf_tls_tickets nf_tls_tickets;

// Why a call failed, as a text that ends with a zero.
typedef struct {
  char text[256];
} nf_tls_reason;

static inline const char *nf_tls_words(const nf_tls_reason *reason) { return reason->text; }

enum { NF_TLS_CLIENT_IGNORED = 0, NF_TLS_CLIENT_OPTIONAL = 1, NF_TLS_CLIENT_REQUIRED = 2 };

nf_tls_tickets *nf_tls_tickets_new(void);
void nf_tls_tickets_free(nf_tls_tickets *tickets);

// A server's context. All three files are PEM: `chain` has the server's certificate first and then the intermediate ones, `key` its
// private key without a passphrase, `authorities` the certificates that a client's has to be signed by (of no bytes where clients are
// not asked). `tickets` must outlive the context. NULL on failure.
nf_tls_context *nf_tls_server(const void *chain, size_t chain_count, const void *key, size_t key_count, const void *authorities,
                              size_t authorities_count, int client, nf_tls_tickets *tickets, nf_tls_reason *reason);
// A client's context. `authorities` (PEM) are trusted in place of the system's where there are any; `verifies` 0 trusts every server.
nf_tls_context *nf_tls_client(const void *authorities, size_t authorities_count, int verifies, nf_tls_reason *reason);
void nf_tls_context_free(nf_tls_context *context);
// When the server's certificate expires, in seconds since 1970.
int64_t nf_tls_context_expiry(const nf_tls_context *context);

// A session of the context, as a server where `host` is NULL and as a client of that host otherwise. NULL when memory is lacking. The
// context may be freed before its sessions.
nf_tls_session *nf_tls_session_new(nf_tls_context *context, int descriptor, const char *host);
void nf_tls_session_free(nf_tls_session *session);

// What the calls below return in place of a count.
enum {
  NF_TLS_END = 0,         // the peer has ended its side
  NF_TLS_WANTS_READ = -1, // the socket has just had nothing to read
  NF_TLS_WANTS_WRITE = -2,
  NF_TLS_BROKEN = -3,     // nothing can follow
  NF_TLS_NOT_TLS = -4     // the first byte is a letter, as that of a plain HTTP request is
};

// Goes on with the handshake; 1 when it is done. `read` and `write` go on with it as well.
ssize_t nf_tls_handshake(nf_tls_session *session);
ssize_t nf_tls_read(nf_tls_session *session, void *buffer, size_t count);
// After NF_TLS_WANTS_READ or NF_TLS_WANTS_WRITE the next call has to have the same bytes in front.
ssize_t nf_tls_write(nf_tls_session *session, const void *bytes, size_t count);
// Sends close_notify; 1 when that is done, or cannot be.
ssize_t nf_tls_finish(nf_tls_session *session);

// The session holds bytes that were read from the socket and not yet given by `nf_tls_read`.
int nf_tls_holds_input(const nf_tls_session *session);
// The last read of the socket got less than it had room for, so that the socket was empty then.
int nf_tls_was_drained(const nf_tls_session *session);

// The protocol's name, for instance "TLSv1.3".
const char *nf_tls_version(const nf_tls_session *session);
// Whether an earlier session was resumed.
int nf_tls_resumed(const nf_tls_session *session);
// Writes the subject of the peer's certificate (RFC 4514), ended with a zero. The number of bytes before that; 0 without a certificate.
size_t nf_tls_peer(const nf_tls_session *session, char *text, size_t room);
// Why the last call returned NF_TLS_BROKEN.
void nf_tls_failure(const nf_tls_session *session, nf_tls_reason *reason);

#endif
