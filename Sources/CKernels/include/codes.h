// Vectors as int8 codes of their residuals from a centroid, with error bounds, and lists of neighbours.
#ifndef NEARFAR_CODES_H
#define NEARFAR_CODES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A record holds `padded` codes (a multiple of 128, or of 64 where there is one plane), value + 128, so that
// unsigned×signed products apply. With two planes the codes' upper nibbles come first, then the lower ones: a walk over a
// graph reads the upper half alone. Byte j of each 64 of a plane then holds the nibbles of values j and j + 64. Headers and
// lists of neighbours lie apart: records fill whole cache lines, and a scan reads no lists.
//
// The key of a row for a query is terms[cell] + weight·b + a·(query·code). Its true key lies within
// e·D + n·error + weight·s + D·(D·slack_square + slack_linear) + slack of it, where D is reach[cell], or `norm` where there
// is no reach. Without the lower plane, `rough` stands in for b. The records are the same for distances and for products:
// a query for products weighs b with 0, and its step, norm and errors are half of what they are for distances.
typedef struct nf_code_header {
  float a, b, rough;
  uint16_t cell;
  uint16_t s;  // the upper half of a float, see nf_slack
} nf_code_header;

// The part of a row's record that only exact scans read.
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
  size_t list_stride;  // words of a list: its length, then room for `capacity` slots
  size_t capacity;
} nf_codes;

// The number of centroids that a query is compared with at once.
#define NF_BLOCK 16

// query ≈ step·(128·upper + lower); codes after the dimension are 0.
typedef struct nf_code_query {
  const int8_t *upper, *lower;
  float step;
  int32_t sum;        // Σ (128·upper + lower)
  int32_t upper_sum;  // Σ upper
  float error;        // how far the query is from its codes, rounding included
  float upper_error;  // the same for step·128·upper alone
  const float *terms;  // one value a cell, room for whole blocks of NF_BLOCK
  float best;          // the largest term
  const float *reach;  // the query's distance from each centroid, whose square is −terms[cell]; NULL under the dot product
  float norm, slack, slack_linear, slack_square;
  float weight;  // 0 under the dot product, else 1
} nf_code_query;

// The best slots that a walk has met, best first. Keys behind `size` are −∞, up to NF_POOL_SLACK values behind `room`.
#define NF_POOL_SLACK 16
typedef struct nf_pool {
  uint32_t *slots;
  float *keys;
  size_t size, room;
  size_t next;  // the first that has not been expanded
} nf_pool;

// A row that a scan cannot rule out.
typedef struct nf_code_hit {
  uint32_t slot;   // or row of a tile
  uint32_t query;  // of a tile
  float key, width;
} nf_code_hit;

// The number of rows in a group, whose codes lie side by side.
#define NF_GROUP 16
// The number of records that kernels compare with a query at once.
#define NF_LANES 4
// The number of keys that the sort in prune.h compares at once.
#define NF_RANKS 8
// The bit of a place that holds no row.
#define NF_NO_ROW 0x80000000u

// Rows by cell, in groups of NF_GROUP, for exact scans. In a cell they come by falling n, and a row's place at the end of a
// cell may be empty. Arrays by cell have room for whole blocks of NF_BLOCK.
typedef struct nf_lists {
  const uint32_t *slots;  // one value a place
  const float *e;         // the same for the upper nibbles alone
  const float *a, *rough; // as in the headers; NULL with two planes
  const uint8_t *codes;   // upper nibbles of a group, `blocks` times 64 bytes; NULL with two planes, where records have them
  size_t blocks;
  const float *n;         // the largest of each group
  const float *widest;    // the largest n of each cell; −∞ where it is empty
  const float *slack;     // the largest s of each cell
  size_t cells;
} nf_lists;

// The values with which a tile of products is compared: one per query, or one per cell and query (cell after cell).
typedef struct nf_tile_queries {
  const float *steps, *errors, *thresholds, *slack, *slack_linear, *slack_square;
  const float *norms;  // under the dot product
  const int32_t *sums;  // 128 times the sums of the codes
  const float *cells;  // terms under the dot product, else reach
  size_t count;
  // Whether products of the lower halves of the queries' codes follow those of the upper halves.
  int has_lower;
} nf_tile_queries;

static inline nf_code_header *nf_header(const nf_codes *codes, size_t slot) {
  return codes->headers + slot;
}

static inline nf_code_bounds *nf_bounds(const nf_codes *codes, size_t slot) {
  return codes->bounds + slot;
}

// The upper half of the smallest float with a zero lower half that is no less than `value`, which is at least 0.
static inline uint16_t nf_slack_above(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0xFFFFu) >> 16);
}

static inline float nf_slack(const nf_code_header *header) {
  const uint32_t bits = (uint32_t)header->s << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline const uint8_t *nf_record(const nf_codes *codes, size_t slot) {
  return codes->base + slot * codes->padded;
}

// The list of neighbours: [0] is their number. Read and written atomically, since searches go on while it changes.
static inline uint32_t *nf_list(const nf_codes *codes, size_t slot) {
  return codes->lists + slot * codes->list_stride;
}

// Prefetches memory that will be read soon.
static inline void nf_prefetch(const void *start, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)start + i);
}

// Copies the list of `slot` to `out`, which has room for `capacity` slots; returns how many there are.
size_t nf_list_read(const nf_codes *codes, size_t slot, uint32_t *out);
// Replaces the list; entries become visible before their number does.
void nf_list_write(const nf_codes *codes, size_t slot, const uint32_t *neighbors, size_t count);
// Whether the list of `slot` names `wanted`.
int nf_list_contains(const nf_codes *codes, size_t slot, uint32_t wanted);
// Adds one neighbour when there is room; returns 0 when there is not.
int nf_list_append(const nf_codes *codes, size_t slot, uint32_t neighbor);

#endif
