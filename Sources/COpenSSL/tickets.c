#define _GNU_SOURCE
// Keys of session tickets (RFC 5077; RFC 8446, 4.6.1), shared by all contexts of a listener so that a client resumes after the certificate
// was read anew.
#include "tls.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEYS = 3, PERIOD = 3600, NAME_BYTES = 16 };

typedef struct {
  unsigned char name[NAME_BYTES];
  unsigned char cipher[32];
  unsigned char mac[32];
} ticket_key;

struct nf_tls_tickets {
  pthread_mutex_t lock;
  // The newest first; only it encrypts.
  ticket_key keys[KEYS];
  int count;
  time_t made;
};

nf_tls_tickets *nf_tls_tickets_new(void) {
  nf_tls_tickets *tickets = calloc(1, sizeof *tickets);
  if (tickets && pthread_mutex_init(&tickets->lock, NULL) != 0) {
    free(tickets);
    return NULL;
  }
  return tickets;
}

void nf_tls_tickets_free(nf_tls_tickets *tickets) {
  if (!tickets) return;
  OPENSSL_cleanse(tickets->keys, sizeof tickets->keys);
  pthread_mutex_destroy(&tickets->lock);
  free(tickets);
}

static time_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

// Makes a new key when the newest is too old, and forgets those that are too old to decrypt. 0 without a usable key.
static int renew(nf_tls_tickets *tickets) {
  const time_t age = now() - tickets->made;
  if (tickets->count > 0 && age < PERIOD) return 1;
  ticket_key key;
  if (RAND_bytes((unsigned char *)&key, sizeof key) != 1) return tickets->count > 0;
  // Every key behind the newest has been replaced at least one period ago. After a pause of many periods all of them are too old.
  const int kept = age < KEYS * PERIOD ? (tickets->count < KEYS - 1 ? tickets->count : KEYS - 1) : 0;
  memmove(&tickets->keys[1], &tickets->keys[0], (size_t)kept * sizeof key);
  tickets->keys[0] = key;
  tickets->count = kept + 1;
  tickets->made = now();
  OPENSSL_cleanse(&key, sizeof key);
  return 1;
}

static int prepare(const ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypts) {
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof key->mac),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, parameters) == 1 &&
         EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypts) == 1;
}

// Called by OpenSSL: 1 for a ticket that can be made or read, 2 for one that can be read and is to be replaced, 0 for one that is unknown,
// -1 on failure.
int nf_tls_ticket_key(nf_tls_tickets *tickets, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                      int encrypts) {
  int result = 0;
  pthread_mutex_lock(&tickets->lock);
  if (!renew(tickets)) {
    result = encrypts ? -1 : 0;
  } else if (encrypts) {
    const ticket_key *key = &tickets->keys[0];
    memcpy(name, key->name, NAME_BYTES);
    const int length = EVP_CIPHER_get_iv_length(EVP_aes_256_cbc());
    result = RAND_bytes(iv, length) == 1 && prepare(key, iv, cipher, mac, 1) ? 1 : -1;
  } else {
    for (int i = 0; i < tickets->count; i++) {
      const ticket_key *key = &tickets->keys[i];
      if (CRYPTO_memcmp(name, key->name, NAME_BYTES) != 0) continue;
      result = prepare(key, iv, cipher, mac, 0) ? (i == 0 ? 1 : 2) : -1;
      break;
    }
  }
  pthread_mutex_unlock(&tickets->lock);
  return result;
}
