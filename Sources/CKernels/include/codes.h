// Vectors as int8 codes of their residuals from the nearest centroid, with error bounds, and lists of neighbours.
#ifndef NEARFAR_CODES_H
#define NEARFAR_CODES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A record holds `padded` codes (a multiple of 128, or of 64 where there is one plane). A code is stored with 128 added,
// because the instructions multiply unsigned with signed bytes. With two planes the upper nibbles of all codes come
// first and then the lower ones, so that a walk over a graph reads only the upper half of a record; byte j of each 64
// of a plane holds the nibbles of values j and j + 64. Headers and lists of neighbours are stored apart from the
// records, so that records fill whole cache lines and a scan reads no lists.
//
// A cell is the set of rows with the same nearest centroid. A key says how near a row is to a query; larger is nearer.
// The key of a row is
//   terms[cell] + weight·b + a·(query·code),
// and the true key lies within
//   e·D + n·error + weight·s + D·(D·slack_square + slack_linear) + slack
// of it, where D is reach[cell], or `norm` where there is no reach. When only the upper plane is read, `rough` replaces
// b. The records are the same for distances and for products: a query for products has the weight 0, and its step, norm
// and errors are half of what they are for distances.
typedef struct nf_code_header {
  float a, b, rough;
  uint16_t cell;
  uint16_t s;  // the upper half of a float; see nf_slack
} nf_code_header;

// The part of a record that only exact scans read.
typedef struct nf_code_bounds {
  float e, n;
} nf_code_bounds;

typedef struct nf_codes {
  uint8_t *base;
  size_t padded;  // bytes of a record
  size_t planes;  // 2 for nibbles, 1 for bytes
  nf_code_header *headers;
  nf_code_bounds *bounds;
  uint32_t *lists;
  size_t list_stride;  // words per list: its length, then room for `capacity` slots
  size_t capacity;
} nf_codes;

// The number of centroids that a query is compared with at once.
#define NF_BLOCK 16

// A query as codes: query ≈ step·(128·upper + lower). Codes after the last dimension are 0.
typedef struct nf_code_query {
  const int8_t *upper, *lower;
  float step;
  int32_t sum;        // Σ (128·upper + lower)
  int32_t upper_sum;  // Σ upper
  float error;        // the norm of the error of the codes, rounding included
  float upper_error;  // the same for step·128·upper alone
  const float *terms;  // one value per cell, with room for whole blocks of NF_BLOCK
  float best;          // the largest term
  // The query's distance from each centroid, whose square is −terms[cell]; NULL under the dot product.
  const float *reach;
  float norm, slack, slack_linear, slack_square;
  float weight;  // 0 under the dot product, otherwise 1
} nf_code_query;

// The best slots that a walk has found, best first. There is room for NF_POOL_SLACK keys after the last place; keys
// from `size` on are −∞.
#define NF_POOL_SLACK 16
typedef struct nf_pool {
  uint32_t *slots;
  float *keys;
  size_t size, room;
  size_t next;  // the first place whose slot has not been expanded
} nf_pool;

// A row that a scan cannot rule out; its true key lies within `width` of `key`.
typedef struct nf_code_hit {
  uint32_t slot;
  uint32_t query;  // its number in a tile; 0 in a scan for one query
  float key, width;
} nf_code_hit;

// The number of rows in a group, whose codes are stored side by side.
#define NF_GROUP 16
// The number of records that kernels compare with a query at once.
#define NF_LANES 4
// The number of keys that the sort in prune.h compares at once.
#define NF_RANKS 8
// The bit that marks a place without a row.
#define NF_NO_ROW 0x80000000u

// The rows of each cell, in groups of NF_GROUP, for exact scans. Within a cell they come in order of decreasing n; the
// last places of its last group may be empty. Arrays with one value per cell have room for whole blocks of NF_BLOCK.
typedef struct nf_lists {
  const uint32_t *slots;   // one value per place
  const float *e;          // one value per place: the bound e when only the upper nibbles are read
  const float *a, *rough;  // one value per place, as in the headers; NULL where `codes` is
  const uint8_t *codes;    // the upper nibbles, `blocks` · 64 bytes per group; NULL where records are read instead
  size_t blocks;
  const float *n;       // the largest n of each group
  const float *widest;  // the largest n of each cell; −∞ where the cell is empty
  const float *slack;   // a bound of s, rounding included, for the rows of each cell whose s is finite
  size_t cells;
} nf_lists;

// What a tile of products is compared with: one value per query, or one per cell and query (cell after cell).
typedef struct nf_tile_queries {
  const float *steps, *errors, *thresholds, *slack, *slack_linear, *slack_square;
  const float *norms;   // NULL unless under the dot product
  const int32_t *sums;  // 128 times the sums of the codes
  const float *cells;   // per cell and query: terms under the dot product, otherwise reach
  size_t count;
  // Whether products with the lower halves of the queries' codes follow those with the upper halves.
  int has_lower;
} nf_tile_queries;

static inline nf_code_header *nf_header(const nf_codes *codes, size_t slot) {
  return codes->headers + slot;
}

static inline nf_code_bounds *nf_bounds(const nf_codes *codes, size_t slot) {
  return codes->bounds + slot;
}

// Rounds `value`, which is at least 0, up to a float whose lower 16 bits are 0, and returns its upper half.
static inline uint16_t nf_slack_above(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0xFFFFu) >> 16);
}

// The bound s of a row.
static inline float nf_slack(const nf_code_header *header) {
  const uint32_t bits = (uint32_t)header->s << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline const uint8_t *nf_record(const nf_codes *codes, size_t slot) {
  return codes->base + slot * codes->padded;
}

// The list of neighbours of `slot`: [0] is their number. Lists are read and written atomically, because searches go on
// while they change.
static inline uint32_t *nf_list(const nf_codes *codes, size_t slot) {
  return codes->lists + slot * codes->list_stride;
}

// Prefetches memory that will be read soon.
static inline void nf_prefetch(const void *start, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)start + i);
}

// Copies the list of `slot` to `out`, which has room for `capacity` slots, and returns how many there are.
size_t nf_list_read(const nf_codes *codes, size_t slot, uint32_t *out);
// Replaces the list. Its entries become visible before their number does. One thread at a time may change a list.
void nf_list_write(const nf_codes *codes, size_t slot, const uint32_t *neighbors, size_t count);
// Returns whether the list of `slot` names `wanted`.
int nf_list_contains(const nf_codes *codes, size_t slot, uint32_t wanted);
// Appends a neighbour; returns 0 when the list is full. One thread at a time may change a list.
int nf_list_append(const nf_codes *codes, size_t slot, uint32_t neighbor);

#endif
