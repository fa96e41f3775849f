#include "copenssl.h"
#include <openssl/evp.h>

int nf_base64(const void *bytes, size_t count, unsigned char *text) {
  if (count > (size_t)1 << 30) return -1;
  return EVP_EncodeBlock(text, bytes, (int)count);
}
