// The innermost loops, in one variant per instruction set.
//
// A program asks for `nf_kernels_active()` once; tests ask for each variant by name. A result depends on the arguments
// alone, so that the same bytes come out wherever a row stands in a batch. Slots, cells, records and keys are those of
// codes.h.
#ifndef NEARFAR_CKERNELS_H
#define NEARFAR_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "codes.h"
#include "dense.h"
#include "dropout_mask.h"

// One step of AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) with rate η, moments' factors β₁ and β₂, decay λ and the
// number t of the step.
typedef struct nf_adamw {
  float gradient_scale;  // what gradients are multiplied by first
  float value_keep;      // 1 − η·λ
  float first_share;     // 1 − β₁
  float second_keep;     // β₂
  float second_share;    // 1 − β₂
  float step_size;       // η/(1 − β₁ᵗ)
  float second_root;     // √(1 − β₂ᵗ)
  float epsilon;
} nf_adamw;

typedef struct nf_kernels {
  const char *name;  // "baseline", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx" or "neon"
  // Whether the processor has products of bf16. Without them, bf16 is multiplied as f32, which is no faster than f32.
  int multiplies_bf16;

  // Σ a[i]·b[i]; each product and the sum are in f64.
  double (*dot_f64)(const float *a, const float *b, size_t count);

  // The log-sum-exp of one row that arrives in pieces (Milakov & Gimelshein 2018, arXiv 1805.02867): *running_max and
  // *running_sum become those of the row extended by products[j]·scale·column_scale[j], j < count. `column_scale` may
  // be NULL, which stands for ones. The sum is in f64, so that its error does not grow with the row.
  void (*log_sum_exp_update)(const float *products, const float *column_scale, float scale, size_t count,
                             double *running_max, double *running_sum);

  // z[j] becomes z[j]·scale·column_scale[j]. `column_scale` may be NULL, which stands for ones.
  void (*scale_row)(float *z, const float *column_scale, float scale, size_t count);

  // z[j] becomes exp(z[j] − max); returns max. *sum = Σ exp(z[j] − max) and *weighted = Σ exp(z[j] − max)·(z[j] − max),
  // added up in f64. Entries of −FLT_MAX are masked: they become 0 where another entry is larger.
  float (*exponentiate_row)(float *z, size_t count, double *sum, double *weighted);

  // z[j] becomes σ(z[j] + bias). *loss = Σ log(1 + exp(z[j] + bias)), *sum = Σ σ(z[j] + bias) and
  // *weighted = Σ σ(z[j] + bias)·z[j], added up in f64.
  void (*sigmoid_row)(float *z, float bias, size_t count, double *loss, double *sum, double *weighted);

  // *at_least is the number of z[j] ≥ threshold, *largest the largest z[j] (−FLT_MAX when there are none), and *sum is
  // Σ z[j] in f64.
  void (*row_statistics)(const float *z, float threshold, size_t count, size_t *at_least, float *largest, double *sum);

  // Returns the first j ≥ start with z[j] > threshold, or `count` when there is none.
  size_t (*find_above)(const float *z, float threshold, size_t start, size_t count);

  // out = LayerNorm(x + residual)·gamma + beta (Ba et al. 2016, arXiv 1607.06450) for `rows` rows of `width` values.
  // `residual` may be NULL; `out` may be `x` or `residual`.
  void (*layer_norm)(const float *x, const float *residual, const float *gamma, const float *beta, float epsilon,
                     size_t rows, size_t width, float *out);

  // out = x/√(mean of x² + epsilon)·gamma (Zhang & Sennrich 2019, arXiv 1910.07467) for `rows` rows of `width` values.
  // `out` may be `x`.
  void (*rms_norm)(const float *x, const float *gamma, float epsilon, size_t rows, size_t width, float *out);

  // out[i] += x[i].
  void (*add)(const float *x, size_t count, float *out);

  // out = activation(a)·b, where x is [rows, 2·width] and a row has a and then b; `out` is [rows, width].
  void (*gate_rows)(const float *x, size_t rows, size_t width, nf_activation activation, float *out);

  // x[i] becomes activation(x[i]).
  void (*activate)(float *x, size_t count, nf_activation activation);

  // The bytes from one row of the left side of a product to the next.
  size_t (*operand_stride)(nf_precision precision, size_t inputs);
  // Brings `rows` rows of f32 into the form of the left side of a product. `scratch` holds nf_operand_scratch(inputs)
  // floats, `out` rows·operand_stride bytes. With f32 the rows are merely copied: dense_rows takes them as they are, too.
  void (*operand_rows)(nf_precision precision, const float *x, size_t rows, size_t inputs, float *scratch, void *out);
  // The bytes of a layer's packed weights.
  size_t (*dense_bytes)(nf_precision precision, size_t inputs, size_t outputs);
  // Packs weights [outputs, inputs] and a bias [outputs], which may be NULL. `packed` has dense_bytes bytes and is aligned to
  // 64; `scratch` holds nf_operand_scratch(inputs) floats.
  void (*dense_pack)(nf_precision precision, const float *weights, const float *bias, size_t inputs, size_t outputs,
                     float *scratch, void *packed);
  // The panels of a layer's outputs.
  size_t (*dense_panels)(size_t outputs);
  // y = activation(x·Wᵀ + bias) for `rows` rows and `panels` panels of outputs from `first` on: x as operand_rows makes it,
  // y [rows, outputs].
  void (*dense_rows)(const nf_dense *layer, const void *x, size_t rows, size_t first, size_t panels, float *y);

  // Attention of `count` heads from `first` on. `qkv` is [length, (heads + 2·key_heads)·head_width] and holds the queries,
  // keys and values of each token; `out` is [length, heads·head_width]; `scratch` holds
  // nf_attention_scratch(length, head_width) floats.
  void (*attention)(const nf_attention *attention, const float *qkv, size_t first, size_t count, float *scratch,
                    float *out);

  // Rotary positions (Su et al. 2021, arXiv 2104.09864) of `heads` heads of each of `rows` rows, which are `stride`
  // floats apart: of the first 2·half values of a head, pairs (x[i], x[half + i]) are rotated by the angle with the
  // cosine cosines[r, i] and the sine sines[r, i].
  void (*rotate_pairs)(float *x, size_t rows, size_t stride, size_t heads, size_t head_width, size_t half,
                       const float *cosines, const float *sines);

  // The same as `layer_norm` and `rms_norm`, which also write what their backward passes need: `sum` is x + residual, [rows,
  // width], and may be `x` or `residual`; `statistics` is [rows, 2] for LayerNorm, the mean and 1/σ, and [rows] for RMSNorm,
  // 1/√(mean of squares + epsilon). `beta` may be NULL. Of the others, `out` may be `residual` only.
  void (*layer_norm_forward)(const float *x, const float *residual, const float *gamma, const float *beta, float epsilon,
                             size_t rows, size_t width, float *sum, float *statistics, float *out);
  void (*rms_norm_forward)(const float *x, const float *residual, const float *gamma, float epsilon, size_t rows,
                           size_t width, float *sum, float *statistics, float *out);
  // From dy, the derivative of a loss by a norm's results: writes dx, that by its inputs `x` (the `sum` above), and adds
  // those by gamma and beta, [width]. `dx` may be `dy`, `dbeta` may be NULL.
  void (*layer_norm_backward)(const float *dy, const float *x, const float *statistics, const float *gamma, size_t rows,
                              size_t width, float *dx, float *dgamma, float *dbeta);
  void (*rms_norm_backward)(const float *dy, const float *x, const float *statistics, const float *gamma, size_t rows,
                            size_t width, float *dx, float *dgamma);

  // out[i] = activation(x[i]). `out` may be `x`.
  void (*activation_forward)(const float *x, size_t count, nf_activation activation, float *out);
  // dx[i] = dy[i]·activation′(x[i]). `dx` may be `dy`.
  void (*activation_backward)(const float *dy, const float *x, size_t count, nf_activation activation, float *dx);
  // The backward pass of gate_rows: dy is [rows, width], x and dx are [rows, 2·width].
  void (*gate_backward)(const float *dy, const float *x, size_t rows, size_t width, nf_activation activation, float *dx);

  // out[i] = x[i] times the factor of the value with the index first + i: 0, or 1/(1 − probability). `out` may be `x`. The
  // factors are the same in every variant. The backward pass is the same.
  void (*dropout)(const nf_dropout *dropout, const float *x, size_t count, uint64_t first, float *out);
  // Four random words from a counter and a key: Philox4x32-10 (see dropout.h).
  void (*philox)(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

  // The backward pass of `attention` for the key heads from `first` on, of which there are `count`, and for the heads that
  // share them. `out` and `a->log_sums` are those of the forward pass; `dout` is [length, heads·head_width]. Writes the
  // derivatives of these heads in dqkv, which has the shape of `qkv`, and adds those by the bias (before it is divided by
  // `scale`) to dbias, [heads, 2·length − 1], unless it is NULL. `scratch` holds nf_attention_backward_scratch(head_width)
  // floats.
  void (*attention_backward)(const nf_attention *attention, const float *qkv, const float *out, const float *dout,
                             size_t first, size_t count, float *scratch, float *dqkv, float *dbias);

  // out[c] += Σ_r x[r, c], for `rows` rows of `width` values.
  void (*add_column_sums)(const float *x, size_t rows, size_t width, float *out);
  // x[r, c] += bias[c].
  void (*add_bias)(const float *bias, size_t rows, size_t width, float *x);
  // out[i] += scale·x[i].
  void (*add_scaled)(const float *x, float scale, size_t count, float *out);
  // target[i] = momentum·target[i] + (1 − momentum)·source[i].
  void (*follow)(const float *source, float momentum, size_t count, float *target);
  // Whether no value is infinite or not a number.
  int (*all_finite)(const float *x, size_t count);
  // Changes `values` and their two moments by one step of AdamW. The results are the same in every variant.
  void (*adamw)(const nf_adamw *step, const float *gradients, size_t count, float *values, float *first, float *second);

  // out[c] = the mean over `rows` rows of x[r, c]; 0 when there are none.
  void (*mean_rows)(const float *x, size_t rows, size_t width, float *out);
  // out[c] = the maximum over `rows` rows of x[r, c]; `out` stays as it is when there are none.
  void (*max_rows)(const float *x, size_t rows, size_t width, float *out);

  // Σ (a[i] − b[i])² in f64.
  double (*distance_f64)(const float *a, const float *b, size_t count);

  // The keys of `count` slots, from all bits of their codes.
  void (*code_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count, float *keys);
  // The keys of `count` slots from the upper plane alone, where there are two.
  void (*code_rough_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                          float *keys);

  // Writes the neighbours of `slot` whose bits in `visited` (one bit per slot) are not set, and their keys from the
  // upper plane alone. Sets these bits. Both outputs have room for `capacity` values. Returns how many there are.
  size_t (*code_neighbors)(const nf_codes *codes, const nf_code_query *query, uint32_t slot, uint64_t *visited,
                           uint32_t *slots, float *keys);

  // The number of bits that are set in `count` words.
  size_t (*count_bits)(const uint64_t *words, size_t count);

  // Inserts `count` slots that have not been offered to the pool before at their places; the worst fall out of a full
  // pool. Returns the first place that changed, or the size when none did. Prefetches the lists of slots that will soon
  // be expanded.
  size_t (*pool_offer)(const nf_codes *codes, const uint32_t *slots, const float *keys, size_t count, nf_pool *pool);

  // Moves the slots whose keys are at least `least`, and these keys, to the front. Returns how many there are.
  size_t (*keep_above)(uint32_t *slots, float *keys, size_t count, float least);

  // Finds those of `count` slots whose key may reach `threshold`, from all bits of their codes. `hits` has room for
  // all. Returns how many there are.
  size_t (*code_bound)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                       float threshold, nf_code_hit *hits);

  // Finds the cells that may hold a row whose key reaches `threshold`. `out` has room for all. Returns how many there
  // are.
  size_t (*lists_within)(const nf_code_query *query, const nf_lists *lists, float threshold, uint32_t *out);

  // Scans `groups` groups of one cell from `first` on, and finds the slots with a bit in `live` (of `words` words) that
  // the upper nibbles cannot rule out. `out` has room for all. Returns how many there are. The scan ends where no later
  // row can reach the threshold; `scanned` gets the number of groups before that.
  size_t (*list_scan)(const nf_codes *codes, const nf_code_query *query, const nf_lists *lists, uint32_t cell,
                      size_t first, size_t groups, const uint64_t *live, size_t words, float threshold, uint32_t *out,
                      size_t *scanned);

  // Returns Σ (lower − 8)² over the lower nibbles of a slot's codes. Unless `codes` is NULL, writes the upper nibbles
  // to lane `lane` of a group, which must have been zero.
  float (*list_fill)(const nf_codes *nf, uint32_t slot, size_t dimension, size_t lane, uint8_t *codes);

  // Finds the pairs of a row of a tile, all of one cell, and a query whose key may reach the query's threshold.
  // products[row·stride + j] = Σ code·upper of query j; the products with the lower halves follow, where they are used.
  // `least` is scratch memory, one value per query; `hits` has room for rows·queries. Returns how many there are.
  size_t (*code_select)(const nf_codes *codes, const uint32_t *slots, size_t rows, uint32_t cell,
                        const int32_t *products, size_t stride, const nf_tile_queries *queries, float *least,
                        nf_code_hit *hits);

  // z = the rotated vector scale·row − mean, and zero from `count` to `stride`; `mean` may be NULL. The rotation
  // consists of `rounds` rounds: multiplication by signs (`count` values of ±1 per round), and a Walsh–Hadamard
  // transform of as many values as the largest power of two that fits. Returns the norm of scale·row − mean.
  double (*code_place)(const float *row, double scale, const float *mean, size_t count, size_t stride,
                       const float *signs, size_t rounds, float *z);

  // out[i] = round(x[i] / step), where |x[i]| ≤ 127·step. Returns ‖x − step·out‖.
  float (*code_quantize)(const float *x, size_t count, float step, int8_t *out);

  // Codes a query in 15 bits per value, z ≈ step·(128·upper + lower). Writes its codes, its terms for `cells` centroids
  // and, unless `is_dot`, its `reach`; sets step, sums, errors (without those of computing in f32) and best in `out`.
  // `stride` is a multiple of 32. `blocks` holds NF_BLOCK centroids at a time, dimension by dimension, as bf16.
  void (*code_query)(const float *z, size_t stride, const uint16_t *blocks, size_t cells, int is_dot, int8_t *upper,
                     int8_t *lower, float *terms, float *reach, nf_code_query *out);

  // Writes the at most `most` cells with the largest terms, of those with a term of at least `least`, best first.
  // Returns how many there are.
  size_t (*nearest_cells)(const float *terms, size_t cells, float least, size_t most, uint32_t *out);

  // products[c] = query·centroid c and squares[c] = ‖query − centroid c‖². Either may be NULL. `stride` is a multiple
  // of 32, and the values after the last dimension are 0 on both sides.
  void (*code_cells)(const float *centroids, size_t count, size_t stride, const float *query, float *products,
                     float *squares);

  // Chooses neighbours of `origin` among `count` rows (see prune.h); each row is multiplied by its factor first.
  // `order` gets the numbers of the chosen rows, nearest first, and has room for `count`; `scratch` has
  // nf_prune_scratch bytes and is aligned to 64. Returns how many there are, at most `degree`.
  size_t (*prune)(const float *const *rows, const float *factors, const uint32_t *slots, size_t count,
                  const float *origin, float origin_factor, uint32_t origin_slot, size_t dimension, float alpha_squared,
                  size_t degree, void *scratch, uint32_t *order);

  // Packs `count` signed values (a multiple of 128) into the two planes of a record, and unpacks them as value + 128.
  void (*code_pack)(const int8_t *values, size_t count, uint8_t *record);
  void (*code_unpack)(const uint8_t *record, size_t count, uint8_t *out);
} nf_kernels;

// The best variant that this processor can run. Never NULL.
const nf_kernels *nf_kernels_active(void);

// The variant of that name; NULL when it is unknown or this processor cannot run it.
const nf_kernels *nf_kernels_named(const char *name);

// Tells the processor that this thread waits for another one.
static inline void nf_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The bytes of scratch memory that `prune` needs.
size_t nf_prune_scratch(size_t count, size_t dimension, size_t degree);

// The floats of scratch memory that `operand_rows` and `dense_pack` need.
size_t nf_operand_scratch(size_t inputs);

// The floats of scratch memory that `attention` needs.
size_t nf_attention_scratch(size_t length, size_t head_width);

// The floats of scratch memory that `attention_backward` needs.
size_t nf_attention_backward_scratch(size_t head_width);

#endif
