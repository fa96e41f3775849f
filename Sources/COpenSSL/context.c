#define _GNU_SOURCE
// Contexts: protocol versions, cipher suites and groups of Mozilla's intermediate configuration (version 5.7), certificates, ALPN.
#include "tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// TLS 1.2; those of TLS 1.3 are OpenSSL's default three.
static const char SUITES[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"
    "DHE-RSA-CHACHA20-POLY1305";
static const char GROUPS[] = "X25519:P-256:P-384";
static const char ALPN[] = "\x08http/1.1";

void nf_tls_explain(nf_tls_reason *reason, const char *attempt) {
  // The last error is the most general one; the first says what was wrong with the input.
  const unsigned long code = ERR_get_error();
  const char *words = code ? ERR_reason_error_string(code) : NULL;
  snprintf(reason->text, sizeof reason->text, "%s%s%s", attempt, words ? ": " : "", words ? words : "");
  ERR_clear_error();
}

// A passphrase is never asked for: nobody is there to type it.
static int no_passphrase(char *buffer, int size, int writes, void *unused) {
  (void)buffer, (void)size, (void)writes, (void)unused;
  return -1;
}

static BIO *reader(const void *bytes, size_t count) {
  return count <= INT_MAX ? BIO_new_mem_buf(bytes, (int)count) : NULL;
}

// Reads certificates one after another. The number that was read, or -1 when one is malformed or `take` fails.
static int each_certificate(const void *bytes, size_t count, int (*take)(SSL_CTX *, X509 *, int), SSL_CTX *ssl) {
  BIO *input = reader(bytes, count);
  if (!input) return -1;
  int read = 0;
  for (;; read++) {
    X509 *certificate = PEM_read_bio_X509(input, NULL, no_passphrase, NULL);
    if (!certificate) break;
    const int taken = take(ssl, certificate, read);
    X509_free(certificate);
    if (!taken) {
      BIO_free(input);
      return -1;
    }
  }
  BIO_free(input);
  // The end of the file shows as "no start line"; anything else is a certificate that cannot be read.
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) return -1;
  ERR_clear_error();
  return read;
}

static int take_chain(SSL_CTX *ssl, X509 *certificate, int index) {
  return index == 0 ? SSL_CTX_use_certificate(ssl, certificate) == 1 : SSL_CTX_add1_chain_cert(ssl, certificate) == 1;
}

static int take_authority(SSL_CTX *ssl, X509 *certificate, int index) {
  (void)index;
  // The names are sent to clients, so that they can choose a certificate.
  return X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), certificate) == 1 && SSL_CTX_add_client_CA(ssl, certificate) == 1;
}

static int choose_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered, unsigned int count,
                       void *unused) {
  (void)ssl, (void)unused;
  unsigned char *match;
  const int found = SSL_select_next_proto(&match, length, (const unsigned char *)ALPN, sizeof ALPN - 1, offered, count);
  // A client that speaks none of what is offered has to be told so (RFC 7301, 3.2).
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = match;
  return SSL_TLSEXT_ERR_OK;
}

static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypts) {
  nf_tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  return tickets ? nf_tls_ticket_key(tickets, name, iv, cipher, mac, encrypts) : -1;
}

static nf_tls_context *begin(const SSL_METHOD *method, nf_tls_reason *reason) {
  ERR_clear_error();
  nf_tls_context *context = calloc(1, sizeof *context);
  if (context) context->ssl = SSL_CTX_new(method);
  SSL_CTX *ssl = context ? context->ssl : NULL;
  if (!ssl || SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1 || SSL_CTX_set_cipher_list(ssl, SUITES) != 1 ||
      SSL_CTX_set1_groups_list(ssl, GROUPS) != 1) {
    nf_tls_explain(reason, "TLS cannot be set up");
    nf_tls_context_free(context);
    return NULL;
  }
  // Partial writes and moving buffers fit sockets that do not block. Buffers of idle connections are given back.
  SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Head and content of a record come with one system call.
  SSL_CTX_set_read_ahead(ssl, 1);
  SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
  return context;
}

static nf_tls_context *fail(nf_tls_context *context, nf_tls_reason *reason, const char *attempt) {
  nf_tls_explain(reason, attempt);
  nf_tls_context_free(context);
  return NULL;
}

nf_tls_context *nf_tls_server(const void *chain, size_t chain_count, const void *key, size_t key_count, const void *authorities,
                              size_t authorities_count, int client, nf_tls_tickets *tickets, nf_tls_reason *reason) {
  nf_tls_context *context = begin(TLS_server_method(), reason);
  if (!context) return NULL;
  SSL_CTX *ssl = context->ssl;
  // A client's end without close_notify is an end. HTTP knows by itself whether something of a request is missing, and what has come
  // whole is to be answered, which would not be possible behind an error. For a client's part, the end of an answer may be its length.
  SSL_CTX_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
  const int certificates = each_certificate(chain, chain_count, take_chain, ssl);
  if (certificates == 0) return fail(context, reason, "the certificate file holds no certificate");
  if (certificates < 0) return fail(context, reason, "the certificate file cannot be used");
  BIO *input = reader(key, key_count);
  EVP_PKEY *private_key = input ? PEM_read_bio_PrivateKey(input, NULL, no_passphrase, NULL) : NULL;
  BIO_free(input);
  const int used = private_key && SSL_CTX_use_PrivateKey(ssl, private_key) == 1;
  EVP_PKEY_free(private_key);
  if (!private_key) return fail(context, reason, "the key file holds no private key that can be read without a passphrase");
  if (!used || SSL_CTX_check_private_key(ssl) != 1) return fail(context, reason, "the key is not the certificate's");

  struct tm expires;
  if (ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(ssl)), &expires) == 1) context->expiry = timegm(&expires);

  if (client != NF_TLS_CLIENT_IGNORED) {
    const int trusted = each_certificate(authorities, authorities_count, take_authority, ssl);
    if (trusted == 0) return fail(context, reason, "the file of client authorities holds no certificate");
    if (trusted < 0) return fail(context, reason, "the file of client authorities cannot be used");
    const int required = client == NF_TLS_CLIENT_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | required, NULL);
  }
  // Sessions are kept in tickets alone. A ticket is good only where clients are asked in the same way for certificates.
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  const unsigned char id[] = {'n', 'f', (unsigned char)client};
  SSL_CTX_set_session_id_context(ssl, id, sizeof id);
  SSL_CTX_set_timeout(ssl, 7200);
  SSL_CTX_set_num_tickets(ssl, 1);
  SSL_CTX_set_app_data(ssl, tickets);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_key);
  SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, NULL);
  SSL_CTX_set_dh_auto(ssl, 1);
  return context;
}

nf_tls_context *nf_tls_client(const void *authorities, size_t authorities_count, int verifies, nf_tls_reason *reason) {
  nf_tls_context *context = begin(TLS_client_method(), reason);
  if (!context) return NULL;
  SSL_CTX *ssl = context->ssl;
  SSL_CTX_set_alpn_protos(ssl, (const unsigned char *)ALPN, sizeof ALPN - 1);
  SSL_CTX_set_verify(ssl, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
  if (!verifies) return context;
  if (authorities_count == 0) {
    if (SSL_CTX_set_default_verify_paths(ssl) != 1) return fail(context, reason, "the system's certificates cannot be read");
    return context;
  }
  const int trusted = each_certificate(authorities, authorities_count, take_authority, ssl);
  if (trusted == 0) return fail(context, reason, "the file holds no certificate");
  if (trusted < 0) return fail(context, reason, "the file cannot be used");
  return context;
}

void nf_tls_context_free(nf_tls_context *context) {
  if (!context) return;
  SSL_CTX_free(context->ssl);
  free(context);
}

int64_t nf_tls_context_expiry(const nf_tls_context *context) { return context->expiry; }
