// The left sides of products: rows of f32 in the form that products.h multiplies; part of template.h.
//
// A few values of a transformer's rows are much larger than the others, and would leave few of int8's steps for these.
// A rotation spreads them: every 128 neighbouring values are multiplied by fixed signs and by a Hadamard matrix, for the
// activations when they are quantised and for the weights when they are packed. Products do not change, because both
// sides are rotated alike (Ashkboos et al. 2024, arXiv 2404.00456).

typedef int16_t NF(shorts) __attribute__((vector_size(2 * NF_WIDTH)));
typedef int16_t NF(shorts_u) __attribute__((vector_size(2 * NF_WIDTH), aligned(1), may_alias));
typedef uint16_t NF(halves_u) __attribute__((vector_size(2 * NF_WIDTH), aligned(1), may_alias));
typedef uint8_t NF(bytes_u) __attribute__((vector_size(NF_WIDTH), aligned(1), may_alias));
typedef uint32_t NF(vu) __attribute__((vector_size(4 * NF_WIDTH)));

#define NF_UNROLL _Pragma("clang loop unroll(full)")
#define NF_ROTATED 128
// A row of int8 activations begins with its scale; the rest of this room keeps the values aligned.
#define NF_ROW_HEADER 64

// The values that are rotated together: the largest power of two that divides the length of the row, at most NF_ROTATED.
NF_INLINE size_t NF(rotated)(size_t count) {
  const size_t power = count & (~count + 1);
  return power < NF_ROTATED ? power : NF_ROTATED;
}

// The signs of the rotation: arbitrary bits, the first 128 of the fraction of π.
static const uint32_t NF(sign_bits)[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};

// Those for the NF_WIDTH values from i on.
NF_INLINE vi NF(signs)(size_t i) {
  NF(vu) lane;
  for (int j = 0; j < NF_WIDTH; j++) lane[j] = (uint32_t)j;
  const NF(vu) word = NF(sign_bits)[i / 32 % 4] - (NF(vu)){};
  return (vi)((word << (lane + (uint32_t)(i % 32))) & 0x80000000u);
}

// One step of the Walsh–Hadamard transform within vectors: lanes that differ in one bit of their number.
#define NF_BUTTERFLY(v, distance)                                                                     \
  {                                                                                                   \
    vi from;                                                                                          \
    vf sign;                                                                                          \
    for (int lane = 0; lane < NF_WIDTH; lane++) from[lane] = lane ^ (distance);                       \
    for (int lane = 0; lane < NF_WIDTH; lane++) sign[lane] = lane & (distance) ? -1.0f : 1.0f;        \
    vf other;                                                                                         \
    for (int lane = 0; lane < NF_WIDTH; lane++) other[lane] = (v)[from[lane]];                        \
    (v) = NF(fma)((v), sign, other);                                                                  \
  }

// The steps of the rotation within `vectors` neighbouring vectors, a power of two; `i` is the place of the first value.
NF_INLINE void NF(rotate_group)(const float *x, size_t i, int vectors, float *out) {
  vf v[8];
  NF_UNROLL for (int j = 0; j < vectors; j++) {
    v[j] = (vf)((vi)NF(load)(x + j * NF_WIDTH) ^ NF(signs)(i + (size_t)j * NF_WIDTH));
    NF_BUTTERFLY(v[j], 1)
    NF_BUTTERFLY(v[j], 2)
#if NF_WIDTH > 4
    NF_BUTTERFLY(v[j], 4)
#endif
#if NF_WIDTH > 8
    NF_BUTTERFLY(v[j], 8)
#endif
  }
#define NF_CROSS(j, distance)                                                                         \
  {                                                                                                   \
    const vf a = v[j], b = v[(j) + (distance)];                                                       \
    v[j] = a + b;                                                                                     \
    v[(j) + (distance)] = a - b;                                                                      \
  }
  if (vectors == 8) {
    NF_CROSS(0, 1) NF_CROSS(2, 1) NF_CROSS(4, 1) NF_CROSS(6, 1)
    NF_CROSS(0, 2) NF_CROSS(1, 2) NF_CROSS(4, 2) NF_CROSS(5, 2)
    NF_CROSS(0, 4) NF_CROSS(1, 4) NF_CROSS(2, 4) NF_CROSS(3, 4)
  }
#undef NF_CROSS
  NF_UNROLL for (int j = 0; j < vectors; j++) NF(store)(out + j * NF_WIDTH, v[j]);
}

// row becomes √b times the rotated row, where b values are rotated together. `out` may be `x`.
static void NF(rotate)(const float *x, size_t count, float *out) {
  const size_t block = NF(rotated)(count);
  if (block < NF_WIDTH) {
    for (size_t i = 0; i < count; i++) out[i] = NF(sign_bits)[i / 32 % 4] << i % 32 & 0x80000000u ? -x[i] : x[i];
    for (size_t distance = 1; distance < block; distance *= 2) {
      for (size_t i = 0; i < count; i++) {
        if (i & distance) continue;
        const float a = out[i], b = out[i + distance];
        out[i] = a + b;
        out[i + distance] = a - b;
      }
    }
    return;
  }
  // Groups of vectors go through all steps that stay within them while they are in registers.
  size_t distance;
  if (block >= 8 * NF_WIDTH) {
    for (size_t i = 0; i < count; i += 8 * NF_WIDTH) NF(rotate_group)(x + i, i, 8, out + i);
    distance = 8 * NF_WIDTH;
  } else {
    for (size_t i = 0; i < count; i += NF_WIDTH) NF(rotate_group)(x + i, i, 1, out + i);
    distance = NF_WIDTH;
  }
  for (; distance < block; distance *= 2) {
    for (size_t first = 0; first < count; first += 2 * distance) {
      for (size_t i = first; i < first + distance; i += NF_WIDTH) {
        const vf a = NF(load)(out + i), b = NF(load)(out + i + distance);
        NF(store)(out + i, a + b);
        NF(store)(out + i + distance, a - b);
      }
    }
  }
}
#undef NF_BUTTERFLY

// The bits of the nearest bf16, ties to even. NaN stays NaN, because its payload is not rounded away.
NF_INLINE NF(vu) NF(round_bf16)(vf x) {
  const NF(vu) bits = (NF(vu))x;
  const NF(vu) rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  const NF(vu) is_nan = (NF(vu))(x != x);
  return (rounded & ~is_nan) | ((bits | 0x400000) & is_nan & 0xffff0000u);
}

// The first vector of x, of which `left` values are there; the others are 0.
NF_INLINE vf NF(load_part)(const float *x, size_t left) {
  if (left >= NF_WIDTH) return NF(load)(x);
  float part[NF_WIDTH] = {0};
  memcpy(part, x, left * sizeof(float));
  return NF(load)(part);
}

#ifdef NF_DOT_BF16
// 2·NF_WIDTH values in bf16, of which `left` are there. The instruction turns values below the normal ones into 0, which products
// take them for in any case.
NF_INLINE vf NF(load_pairs)(const float *x, size_t left) {
  const vf low = NF(load_part)(x, left), high = NF(load_part)(x + NF_WIDTH, left > NF_WIDTH ? left - NF_WIDTH : 0);
  return (vf)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

// One row of bf16, padded to an even number of values.
static void NF(row_bf16)(const float *x, size_t count, char *out) {
  size_t i = 0;
  for (; i + 2 * NF_WIDTH <= count; i += 2 * NF_WIDTH) NF(store)((float *)(out + 2 * i), NF(load_pairs)(x + i, 2 * NF_WIDTH));
  if (i == count) return;
  const vf rest = NF(load_pairs)(x + i, count - i);
  memcpy(out + 2 * i, &rest, (count - i + 1) / 2 * 4);
}
#else
// One row of bf16 as f32, because the processor does not multiply it.
static void NF(row_bf16)(const float *x, size_t count, char *out) {
  for (size_t i = 0; i < count; i += NF_WIDTH) {
    const NF(vu) bits = NF(round_bf16)(NF(load_part)(x + i, count - i));
    memcpy(out + 4 * i, &bits, 4 * (count - i < NF_WIDTH ? count - i : NF_WIDTH));
  }
}
#endif

// The rounded values x[i]/step as 16-bit integers, or as bytes with 128 added where the processor multiplies bytes.
NF_INLINE void NF(store_int8)(vf x, vf inverse, char *out, size_t i) {
  const vf magic = NF(splat)(12582912.0f);  // 1.5·2²³: adding it rounds to an integer, in the low bits
  const vi q = __builtin_convertvector(NF(fma)(x, inverse, magic) - magic, vi);
#ifdef NF_VNNI
  *(NF(bytes_u) *)(out + i) = __builtin_convertvector((NF(vu))q ^ 0x80, NF(bytes_u));
#else
  *(NF(shorts_u) *)(out + 2 * i) = __builtin_convertvector(q, NF(shorts_u));
#endif
}

// One row of int8 with its scale. `scratch` holds the rotated row, padded to whole vectors.
static void NF(row_int8)(const float *x, size_t count, float *scratch, char *out) {
  const size_t padded = (count + NF_WIDTH - 1) / NF_WIDTH * NF_WIDTH;
  NF(rotate)(x, count, scratch);
  for (size_t i = count; i < padded; i++) scratch[i] = 0;
  vf top_v = {}, invalid = {};
  for (size_t i = 0; i < padded; i += NF_WIDTH) {
    const vf v = NF(load)(scratch + i);
    top_v = NF(max)(top_v, NF(max)(v, -v));
    invalid = NF(fma)(v, NF(splat)(0.0f), invalid);
  }
  // A value that is not finite makes the whole row so, because it is not seen in the integers.
  const float top = NF(largest)(top_v), step = top / 127.0f + NF(sum)(invalid);
  // Rows too small for a reciprocal are zero.
  const vf inverse = NF(splat)(top > 1e-30f ? 127.0f / top : 0.0f);
  memcpy(out, &step, sizeof step);
  for (size_t i = 0; i < padded; i += NF_WIDTH) NF(store_int8)(NF(load)(scratch + i), inverse, out + NF_ROW_HEADER, i);
}

// Rows that are a multiple of 4 KiB apart share a few places of the first-level cache, which then holds fewer than a block of
// them. So rows of bf16 and int8 are an odd number of cache lines apart, and rows of f32 are moved apart where that is needed.
static size_t NF(operand_stride)(nf_precision precision, size_t inputs) {
  const size_t padded = (inputs + NF_WIDTH - 1) / NF_WIDTH * NF_WIDTH;
  switch (precision) {
#ifdef NF_DOT_BF16
    case NF_BF16: return ((2 * inputs + 63) / 64 | 1) * 64;
#endif
#ifdef NF_AMX
    // A tile takes 64 bytes of each row.
    case NF_INT8: return NF_ROW_HEADER + (padded + 63) / 64 * 64;
#elif defined(NF_VNNI)
    case NF_INT8: return NF_ROW_HEADER + padded;
#else
    case NF_INT8: return NF_ROW_HEADER + 2 * padded;
#endif
    default: return 4 * inputs % 4096 == 0 ? 4 * inputs + 64 : 4 * inputs;
  }
}

static void NF(operand_rows)(nf_precision precision, const float *x, size_t rows, size_t inputs, float *scratch,
                             void *out) {
  const size_t stride = NF(operand_stride)(precision, inputs);
  for (size_t r = 0; r < rows; r++) {
    char *row = (char *)out + r * stride;
#ifdef NF_AMX
    // What stands behind the values is multiplied by 0, and must be a number. It is less than two cache lines.
    const size_t end = stride < 128 ? stride : 128;
    if (precision != NF_F32) memset(row + stride - end, 0, end);
#endif
    switch (precision) {
      case NF_BF16: NF(row_bf16)(x + r * inputs, inputs, row); break;
      case NF_INT8: NF(row_int8)(x + r * inputs, inputs, scratch, row); break;
      default: memcpy(row, x + r * inputs, 4 * inputs);
    }
  }
}
