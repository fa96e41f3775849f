// Leaf loops that the matrix library lacks, in one variant per instruction set.
//
// `nf_kernels_active()` is chosen once, from what the processor reports; tests ask for each variant by name.
// Every function is a pure function of its arguments: the same bytes come out wherever a row stands in a batch.
#ifndef NEARFAR_CKERNELS_H
#define NEARFAR_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "codes.h"

typedef struct nf_kernels {
  const char *name;  // "baseline", "avx2", "avx512", "neon"

  // Σ a[i]·b[i], each product and the sum in f64.
  double (*dot_f64)(const float *a, const float *b, size_t count);

  // The log-sum-exp of one row, fed piece by piece (Milakov & Gimelshein 2018, arXiv 1805.02867):
  // *running_max and *running_sum become those of the row extended by products[j]·scale·column_scale[j], j < count.
  // `column_scale` may be NULL (all ones). The sum is kept in f64 so that its error does not grow with the row.
  void (*log_sum_exp_update)(const float *products, const float *column_scale, float scale, size_t count,
                             double *running_max, double *running_sum);

  // z[j] = z[j]·scale·column_scale[j]; `column_scale` may be NULL (all ones).
  void (*scale_row)(float *z, const float *column_scale, float scale, size_t count);

  // z[j] becomes exp(z[j] − max); returns max. *sum = Σ exp(z[j] − max), *weighted = Σ exp(z[j] − max)·(z[j] − max), in f64.
  // Entries of −FLT_MAX are masked: they become 0.
  float (*exponentiate_row)(float *z, size_t count, double *sum, double *weighted);

  // z[j] becomes σ(z[j] + bias). *loss = Σ log(1 + exp(z[j] + bias)), *sum = Σ σ, *weighted = Σ σ·z[j], in f64.
  void (*sigmoid_row)(float *z, float bias, size_t count, double *loss, double *sum, double *weighted);

  // How many z[j] ≥ threshold, the largest z[j] (−FLT_MAX of none), and Σ z[j] in f64.
  void (*row_statistics)(const float *z, float threshold, size_t count, size_t *at_least, float *largest, double *sum);

  // The first j ≥ start with z[j] > threshold, or count.
  size_t (*find_above)(const float *z, float threshold, size_t start, size_t count);

  // out = LayerNorm(x + residual)·gamma + beta for `rows` rows of `width`; residual may be NULL; out may be x.
  void (*layer_norm)(const float *x, const float *residual, const float *gamma, const float *beta, float epsilon,
                     size_t rows, size_t width, float *out);

  // Self-attention of one sequence (Vaswani et al. 2017, section 3.2): for each of `heads` heads
  // softmax(Q·Kᵀ·scale)·V. `qkv` is [length, 3·heads·head_width] holding a token's queries, then keys, then values;
  // `out` is [length, heads·head_width]; `scratch` holds nf_attention_scratch(length, head_width) floats.
  void (*attention)(const float *qkv, size_t length, size_t heads, size_t head_width, float scale, float *scratch,
                    float *out);

  // out[c] = mean over `rows` rows of x[r, c], and the maximum likewise.
  void (*mean_rows)(const float *x, size_t rows, size_t width, float *out);
  void (*max_rows)(const float *x, size_t rows, size_t width, float *out);

  // Σ (a[i] − b[i])² in f64.
  double (*distance_f64)(const float *a, const float *b, size_t count);

  // The keys of `count` slots (codes.h).
  void (*code_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count, float *keys);
  // The same from the upper plane alone.
  void (*code_rough_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                          float *keys);

  // The neighbours of `slot` that `visited` (a bit a slot) does not have yet, which it has then, and their rough keys,
  // from the upper plane alone; both outputs have room for `capacity`. Returns how many.
  size_t (*code_neighbors)(const nf_codes *codes, const nf_code_query *query, uint32_t slot, uint64_t *visited,
                           uint32_t *slots, float *keys);

  // Bits that are set in `count` words.
  size_t (*count_bits)(const uint64_t *words, size_t count);

  // Puts `count` slots that the pool has not met in their places; the worst fall out of a full one. Returns the first place
  // that changed, or the size before. The lists of what will be expanded soon are asked for.
  size_t (*pool_offer)(const nf_codes *codes, const uint32_t *slots, const float *keys, size_t count, nf_pool *pool);

  // Moves the slots whose keys are at least `least` to the front, with their keys; returns how many.
  size_t (*keep_above)(uint32_t *slots, float *keys, size_t count, float least);

  // Of `count` slots, those whose key may reach `threshold`; `hits` has room for all. Returns how many.
  size_t (*code_bound)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                       float threshold, nf_code_hit *hits);

  // The cells that may hold a row whose key reaches `threshold`; `out` has room for all. Returns how many.
  size_t (*lists_within)(const nf_code_query *query, const nf_lists *lists, float threshold, uint32_t *out);

  // Of `groups` groups from `first` on, all of one cell, the slots with a bit in `live` (of `words` words) that the upper
  // nibbles cannot rule out; `out` has room for all. Returns how many. It ends where no row behind can reach the threshold:
  // `scanned` gets the number of groups before.
  size_t (*list_scan)(const nf_codes *codes, const nf_code_query *query, const nf_lists *lists, uint32_t cell,
                      size_t first, size_t groups, const uint64_t *live, size_t words, float threshold, uint32_t *out,
                      size_t *scanned);

  // Σ (lower − 8)² over the lower nibbles of a slot's codes; the upper ones go to lane `lane` of a group, which was zero,
  // unless `codes` is NULL.
  float (*list_fill)(const nf_codes *nf, uint32_t slot, size_t dimension, size_t lane, uint8_t *codes);

  // Of a tile of rows of one cell and many queries, the pairs whose key may reach the query's threshold:
  // products[row·stride + j] = Σ code·upper of query j; then those with the lower halves, where they are used. `least` is
  // scratch, one value a query; `hits` has room for rows·queries.
  size_t (*code_select)(const nf_codes *codes, const uint32_t *slots, size_t rows, uint32_t cell,
                        const int32_t *products, size_t stride, const nf_tile_queries *queries, float *least,
                        nf_code_hit *hits);

  // z = rotated (scale·row − mean), zero from `count` to `stride`; `mean` may be NULL. The rotation is `rounds` times signs
  // (count values of ±1 each) and a Walsh–Hadamard transform of the largest power of two. Returns the length before it.
  double (*code_place)(const float *row, double scale, const float *mean, size_t count, size_t stride,
                       const float *signs, size_t rounds, float *z);

  // out[i] = round(x[i] / step), |x[i]| ≤ 127·step; returns ‖x − step·rounded‖.
  float (*code_quantize)(const float *x, size_t count, float step, int8_t *out);

  // A query in 15 bits, z ≈ step·(128·upper + lower): writes codes, sums and errors without what rounding adds, and its
  // terms for `cells` centroids; `reach` too, unless `is_dot`. `stride` is a multiple of 32. `blocks` holds NF_BLOCK
  // centroids at a time, dimension by dimension, as bf16.
  void (*code_query)(const float *z, size_t stride, const uint16_t *blocks, size_t cells, int is_dot, int8_t *upper,
                     int8_t *lower, float *terms, float *reach, nf_code_query *out);

  // The at most `most` cells with the largest terms of those with at least `least`, best first; returns how many.
  size_t (*nearest_cells)(const float *terms, size_t cells, float least, size_t most, uint32_t *out);

  // products[c] = q·centroid c, squares[c] = ‖q − centroid c‖²; either may be NULL. `stride` is a multiple of 32, and what
  // is behind the dimension is 0 on both sides.
  void (*code_cells)(const float *centroids, size_t count, size_t stride, const float *query, float *products,
                     float *squares);

  // Chooses neighbours (prune.h): of `count` rows with their factors, seen from `origin`. `order` gets the chosen rows'
  // numbers, nearest first; it and `scratch` (nf_prune_scratch bytes, aligned to 64) have room. Returns how many.
  size_t (*prune)(const float *const *rows, const float *factors, const uint32_t *slots, size_t count,
                  const float *origin, float origin_factor, uint32_t origin_slot, size_t dimension, float alpha_squared,
                  size_t degree, void *scratch, uint32_t *order);

  // Signed values into a record's two planes (`count` is a multiple of 128), and back as value + 128.
  void (*code_pack)(const int8_t *values, size_t count, uint8_t *record);
  void (*code_unpack)(const uint8_t *record, size_t count, uint8_t *out);
} nf_kernels;

// The best variant that this processor runs. Never NULL.
const nf_kernels *nf_kernels_active(void);

// The variant of that name, or NULL when it is unknown or this processor cannot run it.
const nf_kernels *nf_kernels_named(const char *name);

// Bytes of scratch that `prune` needs.
size_t nf_prune_scratch(size_t count, size_t dimension, size_t degree);

// Floats of scratch that `attention` needs.
size_t nf_attention_scratch(size_t length, size_t head_width);

#endif
