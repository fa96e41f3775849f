#define _GNU_SOURCE
// Sessions: one connection each, over a socket that it reads and writes itself.
#include "tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct nf_tls_session {
  SSL *ssl;
  int descriptor;
  int is_server;
  int has_read;
  int is_plain;
  int was_drained;
  // The peer has ended its side of the socket.
  int has_ended;
  nf_tls_reason reason;
};

// OpenSSL's own BIO for sockets would raise SIGPIPE, and does not say whether a read was short.

static int socket_read(BIO *bio, char *buffer, size_t count, size_t *got) {
  nf_tls_session *session = BIO_get_data(bio);
  ssize_t result;
  do result = recv(session->descriptor, buffer, count, 0);
  while (result < 0 && errno == EINTR);
  BIO_clear_retry_flags(bio);
  session->was_drained = result < 0 || (size_t)result < count;
  if (result <= 0) {
    if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
    session->has_ended = result == 0;
    *got = 0;
    return 0;
  }
  if (!session->has_read) {
    session->has_read = 1;
    session->is_plain = session->is_server && ((buffer[0] | 32) >= 'a' && (buffer[0] | 32) <= 'z');
  }
  *got = (size_t)result;
  return 1;
}

static int socket_write(BIO *bio, const char *bytes, size_t count, size_t *put) {
  nf_tls_session *session = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (session->is_plain) {
    // An alert would stand in front of the answer that a client of plain HTTP understands.
    *put = count;
    return 1;
  }
  ssize_t result;
  do result = send(session->descriptor, bytes, count, MSG_NOSIGNAL);
  while (result < 0 && errno == EINTR);
  if (result < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) BIO_set_retry_write(bio);
    *put = 0;
    return 0;
  }
  *put = (size_t)result;
  return 1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
  (void)number, (void)pointer;
  const nf_tls_session *session = BIO_get_data(bio);
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    // Without it an end would be a failure of the socket.
    case BIO_CTRL_EOF: return session->has_ended;
    default: return 0;
  }
}

static BIO_METHOD *method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_method(void) {
  BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
  if (!made) return;
  BIO_meth_set_read_ex(made, socket_read);
  BIO_meth_set_write_ex(made, socket_write);
  BIO_meth_set_ctrl(made, socket_control);
  method = made;
}

static BIO *socket_bio(nf_tls_session *session) {
  pthread_once(&once, make_method);
  BIO *bio = method ? BIO_new(method) : NULL;
  if (!bio) return NULL;
  BIO_set_data(bio, session);
  BIO_set_init(bio, 1);
  return bio;
}

static int name_host(SSL *ssl, const char *host) {
  X509_VERIFY_PARAM *expected = SSL_get0_param(ssl);
  // An address is not sent as a server name (RFC 6066, 3).
  if (X509_VERIFY_PARAM_set1_ip_asc(expected, host) == 1) return 1;
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return X509_VERIFY_PARAM_set1_host(expected, host, 0) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

nf_tls_session *nf_tls_session_new(nf_tls_context *context, int descriptor, const char *host) {
  nf_tls_session *session = calloc(1, sizeof *session);
  if (!session) return NULL;
  session->descriptor = descriptor;
  session->is_server = host == NULL;
  session->ssl = SSL_new(context->ssl);
  BIO *bio = session->ssl ? socket_bio(session) : NULL;
  if (!bio || (host && !name_host(session->ssl, host))) {
    BIO_free(bio);
    nf_tls_session_free(session);
    ERR_clear_error();
    return NULL;
  }
  SSL_set_bio(session->ssl, bio, bio);
  if (host) {
    SSL_set_connect_state(session->ssl);
  } else {
    SSL_set_accept_state(session->ssl);
  }
  ERR_clear_error();
  return session;
}

void nf_tls_session_free(nf_tls_session *session) {
  if (!session) return;
  SSL_free(session->ssl);
  free(session);
}

// Says what came of a call that has not succeeded.
static ssize_t outcome(nf_tls_session *session, int result) {
  switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ: return NF_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE: return NF_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN: return NF_TLS_END;
    default: break;
  }
  if (session->is_plain) {
    ERR_clear_error();
    return NF_TLS_NOT_TLS;
  }
  const int reason = ERR_GET_REASON(ERR_peek_error());
  const long verdict = SSL_get_verify_result(session->ssl);
  if (verdict != X509_V_OK && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    ERR_clear_error();
    strncpy(session->reason.text, X509_verify_cert_error_string(verdict), sizeof session->reason.text - 1);
    return NF_TLS_BROKEN;
  }
  nf_tls_explain(&session->reason, "TLS failed");
  return NF_TLS_BROKEN;
}

ssize_t nf_tls_handshake(nf_tls_session *session) {
  ERR_clear_error();
  const int result = SSL_do_handshake(session->ssl);
  if (result == 1) return 1;
  const ssize_t found = outcome(session, result);
  return found == NF_TLS_END ? NF_TLS_BROKEN : found;
}

ssize_t nf_tls_read(nf_tls_session *session, void *buffer, size_t count) {
  ERR_clear_error();
  size_t got = 0;
  const int result = SSL_read_ex(session->ssl, buffer, count, &got);
  return result == 1 ? (ssize_t)got : outcome(session, result);
}

ssize_t nf_tls_write(nf_tls_session *session, const void *bytes, size_t count) {
  ERR_clear_error();
  size_t put = 0;
  const int result = SSL_write_ex(session->ssl, bytes, count, &put);
  if (result == 1) return (ssize_t)put;
  const ssize_t found = outcome(session, result);
  return found == NF_TLS_END ? NF_TLS_BROKEN : found;
}

ssize_t nf_tls_finish(nf_tls_session *session) {
  if (!SSL_is_init_finished(session->ssl)) return 1;
  ERR_clear_error();
  const int result = SSL_shutdown(session->ssl);
  if (result >= 0) return 1;
  const ssize_t found = outcome(session, result);
  return found == NF_TLS_WANTS_WRITE ? found : 1;
}

int nf_tls_holds_input(const nf_tls_session *session) { return SSL_has_pending(session->ssl); }

int nf_tls_was_drained(const nf_tls_session *session) { return session->was_drained; }

const char *nf_tls_version(const nf_tls_session *session) { return SSL_get_version(session->ssl); }

int nf_tls_resumed(const nf_tls_session *session) { return SSL_session_reused(session->ssl); }

size_t nf_tls_peer(const nf_tls_session *session, char *text, size_t room) {
  X509 *certificate = SSL_get0_peer_certificate(session->ssl);
  if (!certificate || room == 0) return 0;
  BIO *output = BIO_new(BIO_s_mem());
  if (!output) return 0;
  X509_NAME_print_ex(output, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  const int count = BIO_read(output, text, (int)(room < INT32_MAX ? room - 1 : INT32_MAX - 1));
  BIO_free(output);
  const size_t length = count > 0 ? (size_t)count : 0;
  text[length] = 0;
  return length;
}

void nf_tls_failure(const nf_tls_session *session, nf_tls_reason *reason) { *reason = session->reason; }
