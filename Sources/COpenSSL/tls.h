// What the parts of the TLS shim share.
#ifndef NEARFAR_COPENSSL_TLS_H
#define NEARFAR_COPENSSL_TLS_H

#include "copenssl.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

struct nf_tls_context {
  SSL_CTX *ssl;
  int64_t expiry;
};

// Writes the newest error of OpenSSL's queue, behind what was tried, and empties the queue.
void nf_tls_explain(nf_tls_reason *reason, const char *attempt);

int nf_tls_ticket_key(nf_tls_tickets *tickets, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                      int encrypts);

#endif
