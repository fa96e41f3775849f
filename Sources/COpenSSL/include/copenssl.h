// Thin C interface to libcrypto.
#ifndef NEARFAR_COPENSSL_H
#define NEARFAR_COPENSSL_H

#include <stddef.h>

typedef struct nf_sha256 nf_sha256;

// SHA-256 (FIPS 180-4) in pieces. NULL or non-zero on failure. `finish` writes 32 bytes and frees the state.
nf_sha256 *nf_sha256_begin(void);
int nf_sha256_update(nf_sha256 *state, const void *bytes, size_t count);
int nf_sha256_finish(nf_sha256 *state, unsigned char digest[32]);

#endif
