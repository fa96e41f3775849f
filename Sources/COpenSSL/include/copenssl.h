// The functions of libcrypto that Nearfar uses.
#ifndef NEARFAR_COPENSSL_H
#define NEARFAR_COPENSSL_H

#include <stddef.h>

typedef struct nf_sha256 nf_sha256;

// SHA-256 (FIPS 180-4) of data that arrives in pieces. `begin` returns NULL on failure; `update` and `finish` return 0
// on success. `finish` writes 32 bytes to `digest`, and frees the state even when it fails.
nf_sha256 *nf_sha256_begin(void);
int nf_sha256_update(nf_sha256 *state, const void *bytes, size_t count);
int nf_sha256_finish(nf_sha256 *state, unsigned char digest[32]);

#endif
