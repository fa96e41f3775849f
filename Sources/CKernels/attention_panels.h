// The keys and values of one head, as the right sides of products; part of template.h.
//
// Keys are transposed into panels and values copied into panels, as products.h multiplies them. Where the precision is
// below f32 and the processor multiplies bf16, both are rounded to it, because attention would otherwise take longer
// than is left by products of weights that are two or four times as fast.

// The keys and values that are copied at a time, a multiple of every NF_PANEL.
#define NF_KEYS 512

typedef struct NF(attention_panels) {
  // Products are of pairs of bf16: two neighbouring values of a key, or the same value of two neighbouring tokens.
  int is_paired;
  size_t head_width;
  float *keys;    // [⌈NF_KEYS/NF_PANEL⌉, head_width or its half, NF_PANEL]
  float *values;  // [⌈head_width/NF_PANEL⌉, NF_KEYS or its half, NF_PANEL]
} NF(attention_panels);

// One step of the transposition of NF_WIDTH vectors: v[i] and v[i + distance] trade the lanes whose number has the other
// bit `distance` than that of the vector. NF_LOW and NF_HIGH say where the lanes of the two come from.
#define NF_LOW(lane, distance) ((lane) & (distance) ? NF_WIDTH + ((lane) ^ (distance)) : (lane))
#define NF_HIGH(lane, distance) ((lane) & (distance) ? NF_WIDTH + (lane) : ((lane) ^ (distance)))
#define NF_LANES4(from, lane, d) from(lane, d), from(lane + 1, d), from(lane + 2, d), from(lane + 3, d)
#if NF_WIDTH == 16
#define NF_LANES_OF(from, d) \
  NF_LANES4(from, 0, d), NF_LANES4(from, 4, d), NF_LANES4(from, 8, d), NF_LANES4(from, 12, d)
#elif NF_WIDTH == 8
#define NF_LANES_OF(from, d) NF_LANES4(from, 0, d), NF_LANES4(from, 4, d)
#else
#define NF_LANES_OF(from, d) NF_LANES4(from, 0, d)
#endif
#define NF_TRADES(v, distance)                                                                        \
  NF_UNROLL for (int i = 0; i < NF_WIDTH; i++) {                                                      \
    if (i & (distance)) continue;                                                                     \
    const vf a = (v)[i], b = (v)[i + (distance)];                                                     \
    (v)[i] = __builtin_shufflevector(a, b, NF_LANES_OF(NF_LOW, distance));                            \
    (v)[i + (distance)] = __builtin_shufflevector(a, b, NF_LANES_OF(NF_HIGH, distance));              \
  }

NF_INLINE void NF(transpose)(vf v[NF_WIDTH]) {
  NF_TRADES(v, 1)
  NF_TRADES(v, 2)
#if NF_WIDTH > 4
  NF_TRADES(v, 4)
#endif
#if NF_WIDTH > 8
  NF_TRADES(v, 8)
#endif
}
#undef NF_TRADES
#undef NF_LANES_OF
#undef NF_LANES4
#undef NF_HIGH
#undef NF_LOW

#ifdef NF_DOT_BF16
// Pairs of the values of two tokens.
NF_INLINE vf NF(pairs)(vf first, vf second) {
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
  __m512i order;
  NF(vu) lanes;
  for (int lane = 0; lane < NF_WIDTH; lane++) lanes[lane] = (uint32_t)lane | (uint32_t)(NF_WIDTH + lane) << 16;
  memcpy(&order, &lanes, sizeof order);
  return (vf)_mm512_permutexvar_epi16(order, halves);
}
#endif

// Copies `count` keys, which are `stride` floats apart.
NF_INLINE void NF(copy_keys)(const NF(attention_panels) *p, const float *key, size_t stride, size_t count) {
  // A vector holds so many values of a key.
  const size_t together = p->is_paired ? 2 : 1, rows = (p->head_width + together - 1) / together;
  for (size_t j = 0; j < count; j += NF_WIDTH) {
    float *panel = p->keys + j / NF_PANEL * rows * NF_PANEL + j % NF_PANEL;
    for (size_t row = 0; row < rows; row += NF_WIDTH) {
      const size_t d = row * together, left = p->head_width - d;
      vf v[NF_WIDTH];
      NF_UNROLL for (int i = 0; i < NF_WIDTH; i++) {
        const float *from = key + (j + (size_t)i) * stride + d;
#ifdef NF_DOT_BF16
        if (p->is_paired) {
          v[i] = j + (size_t)i < count ? NF(load_pairs)(from, left) : (vf){};
          continue;
        }
#endif
        v[i] = j + (size_t)i < count ? NF(load_part)(from, left) : (vf){};
      }
      NF(transpose)(v);
      const size_t whole = rows - row < NF_WIDTH ? rows - row : NF_WIDTH;
      for (size_t i = 0; i < whole; i++) NF(store)(panel + (row + i) * NF_PANEL, v[i]);
    }
  }
  // The rest of the last panel.
  if ((count + NF_WIDTH - 1) / NF_WIDTH % 2) {
    float *panel = p->keys + count / NF_PANEL * rows * NF_PANEL + NF_WIDTH;
    for (size_t row = 0; row < rows; row++) NF(store)(panel + row * NF_PANEL, (vf){});
  }
}

// Copies `count` rows of values, which are `stride` floats apart.
NF_INLINE void NF(copy_values)(const NF(attention_panels) *p, const float *value, size_t stride, size_t count) {
  for (size_t c = 0; c < p->head_width; c += NF_WIDTH) {
    float *panel = p->values + c / NF_PANEL * NF_KEYS * NF_PANEL + c % NF_PANEL;
    const size_t left = p->head_width - c;
#ifdef NF_DOT_BF16
    if (p->is_paired) {
      panel = p->values + c / NF_PANEL * (NF_KEYS / 2) * NF_PANEL + c % NF_PANEL;
      for (size_t j = 0; j < count; j += 2, panel += NF_PANEL) {
        const vf first = NF(load_part)(value + j * stride + c, left);
        const vf second = j + 1 < count ? NF(load_part)(value + (j + 1) * stride + c, left) : (vf){};
        NF(store)(panel, NF(pairs)(first, second));
      }
      continue;
    }
#endif
    for (size_t j = 0; j < count; j++) NF(store)(panel + j * NF_PANEL, NF(load_part)(value + j * stride + c, left));
  }
  // The rest of the last panel.
  if ((p->head_width + NF_WIDTH - 1) / NF_WIDTH % 2) {
    const size_t rows = p->is_paired ? NF_KEYS / 2 : NF_KEYS;
    float *panel = p->values + p->head_width / NF_PANEL * rows * NF_PANEL + NF_WIDTH;
    for (size_t j = 0; j < (p->is_paired ? (count + 1) / 2 : count); j++) NF(store)(panel + j * NF_PANEL, (vf){});
  }
}

// The products of `rows` rows of the left side with one panel of `count` rows; `stride` is in bytes.
NF_INLINE void NF(block_sums)(int is_paired, const char *x, size_t stride, const float *panel, size_t count, int rows,
                              float *out, size_t out_stride) {
  vf sum[NF_ROWS][2];
  NF_UNROLL for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = (vf){};
  NF(ahead) none = {NULL, 0};
#ifdef NF_DOT_BF16
  if (is_paired) {
    NF(sum_bf16)(x, stride, (const char *)panel, count, rows, &none, sum);
  } else
#endif
  {
    (void)is_paired;
    NF(sum_f32)(x, stride, panel, count, rows, &none, sum);
  }
  NF_UNROLL for (int r = 0; r < rows; r++) {
    NF(store)(out + (size_t)r * out_stride, sum[r][0]);
    NF(store)(out + (size_t)r * out_stride + NF_WIDTH, sum[r][1]);
  }
}

static void NF(sums_of_block)(int is_paired, const void *x, size_t stride, const float *panel, size_t count,
                              size_t rows, float *out, size_t out_stride) {
#define NF_CASE(ROWS) \
  case ROWS: NF(block_sums)(is_paired, x, stride, panel, count, ROWS, out, out_stride); break;
  switch (rows) { NF_EVERY_BLOCK(NF_CASE) }
#undef NF_CASE
}
