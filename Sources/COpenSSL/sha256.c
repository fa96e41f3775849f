#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "copenssl.h"

nf_sha256 *nf_sha256_begin(void) {
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1) return (nf_sha256 *)context;
  EVP_MD_CTX_free(context);
  return NULL;
}

int nf_sha256_update(nf_sha256 *state, const void *bytes, size_t count) {
  return EVP_DigestUpdate((EVP_MD_CTX *)state, bytes, count) != 1;
}

int nf_sha256_finish(nf_sha256 *state, unsigned char digest[32]) {
  const int failed = EVP_DigestFinal_ex((EVP_MD_CTX *)state, digest, NULL) != 1;
  EVP_MD_CTX_free((EVP_MD_CTX *)state);
  return failed;
}

int nf_equal_digests(const unsigned char left[32], const unsigned char right[32]) { return CRYPTO_memcmp(left, right, 32) == 0; }
