// One implementation of every kernel, for vectors of NF_WIDTH floats. The file of a variant defines NF_WIDTH,
// NF_VARIANT (the suffix of all names), NF_NAME and the target attribute, and includes this. Vector extensions of the
// compiler are used instead of intrinsics where they suffice, so that the same text becomes SSE2, AVX2, AVX-512 or NEON
// code.
#include <float.h>
#include <math.h>
#include <string.h>

#include "ckernels.h"

#define NF_JOIN2(a, b) a##_##b
#define NF_JOIN(a, b) NF_JOIN2(a, b)
#define NF(name) NF_JOIN(name, NF_VARIANT)
// The most terms that a lane adds up in f32 before the sum goes on in f64.
#define NF_RUN 16
#define NF_INLINE static inline __attribute__((always_inline))

// `vfu` is unaligned and may alias, because rows start anywhere in a client's batch.
typedef float NF(vf) __attribute__((vector_size(4 * NF_WIDTH)));
typedef int32_t NF(vi) __attribute__((vector_size(4 * NF_WIDTH)));
typedef int8_t NF(bytes) __attribute__((vector_size(NF_WIDTH)));
typedef uint16_t NF(halves) __attribute__((vector_size(2 * NF_WIDTH)));
typedef double NF(vd) __attribute__((vector_size(8 * NF_WIDTH)));
typedef float NF(vfu) __attribute__((vector_size(4 * NF_WIDTH), aligned(4), may_alias));
#define vf NF(vf)
#define vi NF(vi)
#define vd NF(vd)
#define vfu NF(vfu)

NF_INLINE vf NF(load)(const float *p) { return *(const vfu *)p; }
NF_INLINE void NF(store)(float *p, vf v) { *(vfu *)p = v; }
NF_INLINE vf NF(splat)(float x) { return x - (vf){}; }
#ifdef NF_NO_FMA
// Without the instruction, the builtin calls a library function for every lane.
NF_INLINE vf NF(fma)(vf a, vf b, vf c) { return a * b + c; }
#else
NF_INLINE vf NF(fma)(vf a, vf b, vf c) { return __builtin_elementwise_fma(a, b, c); }
#endif
NF_INLINE vf NF(max)(vf a, vf b) { return __builtin_elementwise_max(a, b); }

// a > b ? a : b, one instruction: b where one of them is not a number.
NF_INLINE vf NF(larger)(vf a, vf b) {
  const vi is_larger = a > b;
  return (vf)(((vi)a & is_larger) | ((vi)b & ~is_larger));
}

// A bit for every lane that is −1; the others must be 0.
NF_INLINE uint32_t NF(bits)(vi in) {
#if NF_WIDTH == 16
  return _mm512_movepi32_mask((__m512i)in);
#elif NF_WIDTH == 8
  return (uint32_t)_mm256_movemask_ps((__m256)in);
#else
  uint32_t bits = 0;
  for (uint32_t lane = 0; lane < NF_WIDTH; lane++) bits |= (uint32_t)(in[lane] & 1) << lane;
  return bits;
#endif
}

// The order of additions is fixed, so that the bits of a sum depend on the values alone.
NF_INLINE float NF(sum)(vf v) {
  float lane[NF_WIDTH];
  memcpy(lane, &v, sizeof v);
  for (int half = NF_WIDTH / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lane[i] += lane[i + half];
  return lane[0];
}

// The vector is passed by pointer, because vectors wider than the target's registers have no stable calling convention.
NF_INLINE double NF(sum_f64)(const vd *v) {
  double lane[NF_WIDTH];
  memcpy(lane, v, sizeof *v);
  for (int half = NF_WIDTH / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lane[i] += lane[i + half];
  return lane[0];
}

NF_INLINE float NF(largest)(vf v) {
  float lane[NF_WIDTH];
  memcpy(lane, &v, sizeof v);
  for (int half = NF_WIDTH / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
  return lane[0];
}

// exp(x) for x ≤ 0, to 2 ulp: x = n·ln 2 + r with |r| ≤ ln 2 / 2, then 2ⁿ times a Taylor polynomial of degree 7 in r,
// whose next term is below 2⁻²⁷. For x ≤ −87, where results come near the smallest normal number, the result is 0.
NF_INLINE vf NF(exp)(vf x) {
  const vf floor_x = NF(splat)(-87.0f);
  vi keep = x > floor_x;
  x = NF(larger)(x, floor_x);
  const vf magic = NF(splat)(12582912.0f);  // 1.5·2²³: adding it rounds to an integer, in the low bits
  vf shifted = NF(fma)(x, NF(splat)(1.44269504088896341f), magic);
  vf n = shifted - magic;
  vf r = NF(fma)(n, NF(splat)(-0.693359375f), x);  // ln 2 in two parts, of which the first has 9 bits
  r = NF(fma)(n, NF(splat)(2.12194440e-4f), r);
  vf p = NF(splat)(1.0f / 5040.0f);
  p = NF(fma)(p, r, NF(splat)(1.0f / 720.0f));
  p = NF(fma)(p, r, NF(splat)(1.0f / 120.0f));
  p = NF(fma)(p, r, NF(splat)(1.0f / 24.0f));
  p = NF(fma)(p, r, NF(splat)(1.0f / 6.0f));
  p = NF(fma)(p, r, NF(splat)(0.5f));
  p = NF(fma)(p, r, NF(splat)(1.0f));
  p = NF(fma)(p, r, NF(splat)(1.0f));
#if NF_WIDTH == 16
  return (vf)_mm512_maskz_scalef_ps(_mm512_movepi32_mask((__m512i)keep), (__m512)p, (__m512)n);
#else
  vi bits = __builtin_convertvector(n, vi);
  vf power = (vf)((bits + 127) << 23);
  return (vf)((vi)(p * power) & keep);
#endif
}

NF_INLINE double NF(dot_f64_one)(const float *a, const float *b, size_t count) {
  vd s0 = {}, s1 = {};
  size_t i = 0;
  for (; i + 2 * NF_WIDTH <= count; i += 2 * NF_WIDTH) {
    s0 += __builtin_convertvector(NF(load)(a + i), vd) * __builtin_convertvector(NF(load)(b + i), vd);
    s1 += __builtin_convertvector(NF(load)(a + i + NF_WIDTH), vd) *
          __builtin_convertvector(NF(load)(b + i + NF_WIDTH), vd);
  }
  s0 += s1;
  double sum = NF(sum_f64)(&s0);
  for (; i < count; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

static double NF(dot_f64)(const float *a, const float *b, size_t count) { return NF(dot_f64_one)(a, b, count); }

static void NF(log_sum_exp_update)(const float *products, const float *column_scale, float scale, size_t count,
                                   double *running_max, double *running_sum) {
  if (count == 0) return;
  // f32 is enough within a piece, because its terms are relative to the largest value of the piece.
  float top = -FLT_MAX;
  vf top_v = NF(splat)(-FLT_MAX);
  const vf scale_v = NF(splat)(scale);
  size_t i = 0;
  for (; i + NF_WIDTH <= count; i += NF_WIDTH) {
    vf z = NF(load)(products + i) * scale_v;
    if (column_scale) z *= NF(load)(column_scale + i);
    top_v = NF(max)(top_v, z);
  }
  if (i > 0) top = NF(largest)(top_v);
  size_t whole = i;
  for (; i < count; i++) {
    float z = products[i] * scale;
    if (column_scale) z *= column_scale[i];
    if (z > top) top = z;
  }
  vf top_all = NF(splat)(top);
  vd sum_v = {};
  for (i = 0; i < whole;) {
    // A lane adds at most NF_RUN terms, each at most 1, in f32 before the sum goes on in f64.
    const size_t end = whole - i > NF_RUN * NF_WIDTH ? i + NF_RUN * NF_WIDTH : whole;
    vf run = {};
    for (; i < end; i += NF_WIDTH) {
      vf z = NF(load)(products + i) * scale_v;
      if (column_scale) z *= NF(load)(column_scale + i);
      run += NF(exp)(z - top_all);
    }
    sum_v += __builtin_convertvector(run, vd);
  }
  double sum = NF(sum_f64)(&sum_v);
  for (; i < count; i++) {
    float z = products[i] * scale;
    if (column_scale) z *= column_scale[i];
    sum += exp((double)z - (double)top);
  }
  if ((double)top > *running_max) {
    *running_sum = *running_sum * exp(*running_max - (double)top) + sum;
    *running_max = (double)top;
  } else {
    *running_sum += sum * exp((double)top - *running_max);
  }
}

static void NF(layer_norm)(const float *x, const float *residual, const float *gamma, const float *beta, float epsilon,
                           size_t rows, size_t width, float *out) {
  for (size_t r = 0; r < rows; r++) {
    const float *row = x + r * width;
    const float *add = residual ? residual + r * width : NULL;
    float *o = out + r * width;
    vf sum_v = {};
    float sum = 0;
    size_t i = 0;
    for (; i + NF_WIDTH <= width; i += NF_WIDTH) {
      vf v = NF(load)(row + i);
      if (add) v += NF(load)(add + i);
      NF(store)(o + i, v);
      sum_v += v;
    }
    for (; i < width; i++) {
      o[i] = row[i] + (add ? add[i] : 0.0f);
      sum += o[i];
    }
    float mean = (NF(sum)(sum_v) + sum) / (float)width;
    // The variance is computed from centred values, so that nothing is cancelled when the mean is large.
    vf square_v = {};
    float square = 0;
    vf mean_v = NF(splat)(mean);
    for (i = 0; i + NF_WIDTH <= width; i += NF_WIDTH) {
      vf d = NF(load)(o + i) - mean_v;
      square_v = NF(fma)(d, d, square_v);
    }
    for (; i < width; i++) square += (o[i] - mean) * (o[i] - mean);
    float inverse = 1.0f / sqrtf((NF(sum)(square_v) + square) / (float)width + epsilon);
    vf inverse_v = NF(splat)(inverse);
    for (i = 0; i + NF_WIDTH <= width; i += NF_WIDTH) {
      vf d = (NF(load)(o + i) - mean_v) * inverse_v;
      NF(store)(o + i, NF(fma)(d, NF(load)(gamma + i), NF(load)(beta + i)));
    }
    for (; i < width; i++) o[i] = (o[i] - mean) * inverse * gamma[i] + beta[i];
  }
}

static void NF(rms_norm)(const float *x, const float *gamma, float epsilon, size_t rows, size_t width, float *out) {
  for (size_t r = 0; r < rows; r++, x += width, out += width) {
    vf square_v = {};
    float square = 0;
    size_t i = 0;
    for (; i + NF_WIDTH <= width; i += NF_WIDTH) square_v = NF(fma)(NF(load)(x + i), NF(load)(x + i), square_v);
    for (; i < width; i++) square += x[i] * x[i];
    const float inverse = 1.0f / sqrtf((NF(sum)(square_v) + square) / (float)width + epsilon);
    for (i = 0; i + NF_WIDTH <= width; i += NF_WIDTH)
      NF(store)(out + i, NF(load)(x + i) * inverse * NF(load)(gamma + i));
    for (; i < width; i++) out[i] = x[i] * inverse * gamma[i];
  }
}

static void NF(add)(const float *x, size_t count, float *out) {
  for (size_t i = 0; i < count; i++) out[i] += x[i];
}

static void NF(rotate_pairs)(float *x, size_t rows, size_t stride, size_t heads, size_t head_width, size_t half,
                             const float *cosines, const float *sines) {
  for (size_t r = 0; r < rows; r++, x += stride, cosines += half, sines += half) {
    for (size_t h = 0; h < heads; h++) {
      float *a = x + h * head_width, *b = a + half;
      for (size_t i = 0; i < half; i++) {
        const float first = a[i], second = b[i];
        a[i] = first * cosines[i] - second * sines[i];
        b[i] = second * cosines[i] + first * sines[i];
      }
    }
  }
}

static void NF(mean_rows)(const float *x, size_t rows, size_t width, float *out) {
  for (size_t c = 0; c < width; c++) out[c] = 0;
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < width; c++) out[c] += x[r * width + c];
  float count = rows ? (float)rows : 1.0f;
  for (size_t c = 0; c < width; c++) out[c] /= count;
}

static void NF(max_rows)(const float *x, size_t rows, size_t width, float *out) {
  if (rows == 0) return;
  memcpy(out, x, width * sizeof(float));
  for (size_t r = 1; r < rows; r++)
    for (size_t c = 0; c < width; c++) out[c] = x[r * width + c] > out[c] ? x[r * width + c] : out[c];
}

#include "activations.h"
#include "operands.h"
#include "dense_panels.h"
#include "products.h"
#ifdef NF_AMX
#include "tiles.h"
#endif
#include "attention_panels.h"
#include "dropout.h"
#include "attention.h"
#include "attention_training.h"
#include "norms_training.h"
#include "activations_training.h"
#include "training.h"
#include "codes_products.h"
#include "codes_walk.h"
#include "codes_scan.h"
#include "codes_query.h"
#include "prune.h"
#include "rows.h"

const nf_kernels NF(nf_kernels) = {
    .name = NF_NAME,
#ifdef NF_DOT_BF16
    .multiplies_bf16 = 1,
#endif
    .dot_f64 = NF(dot_f64),
    .log_sum_exp_update = NF(log_sum_exp_update),
    .scale_row = NF(scale_row),
    .exponentiate_row = NF(exponentiate_row),
    .sigmoid_row = NF(sigmoid_row),
    .row_statistics = NF(row_statistics),
    .find_above = NF(find_above),
    .layer_norm = NF(layer_norm),
    .rms_norm = NF(rms_norm),
    .add = NF(add),
    .gate_rows = NF(gate_rows),
    .rotate_pairs = NF(rotate_pairs),
    .activate = NF(activate_row),
    .operand_stride = NF(operand_stride),
    .operand_rows = NF(operand_rows),
    .dense_bytes = NF(dense_bytes),
    .dense_pack = NF(dense_pack),
    .dense_panels = NF(dense_panels),
#ifdef NF_AMX
    .dense_rows = NF(dense_rows_in_tiles),
#else
    .dense_rows = NF(dense_rows),
#endif
    .attention = NF(attention),
    .layer_norm_forward = NF(layer_norm_forward),
    .rms_norm_forward = NF(rms_norm_forward),
    .layer_norm_backward = NF(layer_norm_backward),
    .rms_norm_backward = NF(rms_norm_backward),
    .activation_forward = NF(activation_forward),
    .activation_backward = NF(activation_backward),
    .gate_backward = NF(gate_backward),
    .dropout = NF(dropout),
    .philox = NF(philox),
    .attention_backward = NF(attention_backward),
    .add_column_sums = NF(add_column_sums),
    .add_bias = NF(add_bias),
    .add_scaled = NF(add_scaled),
    .follow = NF(follow),
    .all_finite = NF(all_finite),
    .adamw = NF(adamw),
    .mean_rows = NF(mean_rows),
    .max_rows = NF(max_rows),
    .distance_f64 = NF(distance_f64),
    .code_keys = NF(code_keys),
    .code_rough_keys = NF(code_rough_keys),
    .code_neighbors = NF(code_neighbors),
    .pool_offer = NF(pool_offer),
    .keep_above = NF(keep_above),
    .code_bound = NF(code_bound),
    .lists_within = NF(lists_within),
    .list_scan = NF(list_scan),
    .list_fill = NF(list_fill),
    .count_bits = NF(count_bits),
    .code_select = NF(code_select),
    .code_place = NF(code_place),
    .code_quantize = NF(code_quantize),
    .code_query = NF(code_query),
    .nearest_cells = NF(nearest_cells),
    .code_cells = NF(code_cells),
    .prune = NF(prune),
    .code_pack = NF(code_pack),
    .code_unpack = NF(code_unpack),
};
