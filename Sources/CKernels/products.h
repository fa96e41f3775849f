// Products of rows with packed weights; part of template.h.
//
// A block of rows is multiplied with one panel of outputs at a time: NF_ROWS × 2 vectors of sums stay in registers while
// the inputs pass. The panels are the outer loop, because a panel stays in the first-level cache while the rows come
// from the second. The sum of one row and one output takes its terms in one order, whatever block the row is in.

#if NF_WIDTH == 16 || defined(__aarch64__)
#define NF_ROWS 12
#else
#define NF_ROWS 6
#endif
// What is fetched while a block is multiplied: its share of the next panel. Weights come from memory in every pass, and
// without this the first block of each panel would wait for them.
typedef struct NF(ahead) {
  const char *next;
  size_t lines;  // to fetch for each NF_STEPS instructions' worth of inputs
} NF(ahead);

#define NF_STEPS 8
#define NF_FETCH(ahead, k)                                                                            \
  if ((k) % NF_STEPS == 0)                                                                            \
    for (size_t line = 0; line < (ahead)->lines; line++, (ahead)->next += 64) __builtin_prefetch((ahead)->next);

// sum[r] += x[r]·(low, high), where x has one value of each of `rows` rows, which are `stride` bytes apart.
NF_INLINE void NF(add_products)(const char *x, size_t stride, vf low, vf high, int rows, vf sum[][2]) {
  NF_UNROLL for (int r = 0; r < rows; r++) {
    float value;
    memcpy(&value, x + (size_t)r * stride, 4);
    const vf a = NF(splat)(value);
    sum[r][0] = NF(fma)(a, low, sum[r][0]);
    sum[r][1] = NF(fma)(a, high, sum[r][1]);
  }
}

// sum[r] += Σ_k x[r, k]·values[k] for `rows` rows, which are `stride` bytes apart, and `count` vectors of two outputs.
NF_INLINE void NF(sum_f32)(const char *x, size_t stride, const float *values, size_t count, int rows,
                           NF(ahead) *ahead, vf sum[][2]) {
  for (size_t k = 0; k < count; k++) {
    NF_FETCH(ahead, k)
    const vf low = NF(load)(values + k * NF_PANEL), high = NF(load)(values + k * NF_PANEL + NF_WIDTH);
    NF(add_products)(x + 4 * k, stride, low, high, rows, sum);
  }
}

#ifdef NF_DOT_BF16
// Two products at a time are added up in f32, as the instruction does.
NF_INLINE void NF(sum_bf16)(const char *x, size_t stride, const char *values, size_t count, int rows,
                            NF(ahead) *ahead, vf sum[][2]) {
  for (size_t k = 0; k < (count + 1) / 2; k++) {
    NF_FETCH(ahead, k)
    const __m512bh low = (__m512bh)_mm512_loadu_si512(values + 128 * k);
    const __m512bh high = (__m512bh)_mm512_loadu_si512(values + 128 * k + 64);
    NF_UNROLL for (int r = 0; r < rows; r++) {
      int32_t pair;
      memcpy(&pair, x + (size_t)r * stride + 4 * k, 4);
      const __m512bh a = (__m512bh)_mm512_set1_epi32(pair);
      sum[r][0] = (vf)_mm512_dpbf16_ps((__m512)sum[r][0], a, low);
      sum[r][1] = (vf)_mm512_dpbf16_ps((__m512)sum[r][1], a, high);
    }
  }
}
#else
// The products are those of f32, whose other bits are zero.
NF_INLINE void NF(sum_bf16)(const char *x, size_t stride, const char *values, size_t count, int rows,
                            NF(ahead) *ahead, vf sum[][2]) {
  for (size_t k = 0; k < count; k++) {
    NF_FETCH(ahead, k)
    const NF(halves_u) *pair = (const NF(halves_u) *)(values + 2 * NF_PANEL * k);
    const vf low = (vf)(__builtin_convertvector(pair[0], NF(vu)) << 16);
    const vf high = (vf)(__builtin_convertvector(pair[1], NF(vu)) << 16);
    NF(add_products)(x + 4 * k, stride, low, high, rows, sum);
  }
}
#endif

#ifdef NF_VNNI
NF_INLINE void NF(sum_int8)(const char *x, size_t stride, const char *values, size_t count, int rows,
                            NF(ahead) *ahead, vi sum[][2]) {
  for (size_t k = 0; k < (count + 3) / 4; k++) {
    NF_FETCH(ahead, k)
    const __m512i low = _mm512_loadu_si512(values + 128 * k), high = _mm512_loadu_si512(values + 128 * k + 64);
    NF_UNROLL for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, x + (size_t)r * stride + 4 * k, 4);
      const __m512i a = _mm512_set1_epi32(four);
      sum[r][0] = (vi)_mm512_dpbusd_epi32((__m512i)sum[r][0], a, low);
      sum[r][1] = (vi)_mm512_dpbusd_epi32((__m512i)sum[r][1], a, high);
    }
  }
}
#else
typedef int16_t NF(pairs) __attribute__((vector_size(4 * NF_WIDTH)));
typedef int8_t NF(byte_pairs) __attribute__((vector_size(2 * NF_WIDTH), aligned(1), may_alias));

// sum + the products of neighbouring pairs of 16-bit integers, added up two by two.
NF_INLINE vi NF(madd)(vi sum, NF(pairs) a, NF(pairs) b) {
#if NF_WIDTH == 16
  return sum + (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif NF_WIDTH == 8
  return sum + (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
  return sum + (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  const vi even = (((vi)a << 16) >> 16) * (((vi)b << 16) >> 16);
  return sum + even + ((vi)a >> 16) * ((vi)b >> 16);
#endif
}

NF_INLINE void NF(sum_int8)(const char *x, size_t stride, const char *values, size_t count, int rows,
                            NF(ahead) *ahead, vi sum[][2]) {
  for (size_t k = 0; k < (count + 1) / 2; k++) {
    NF_FETCH(ahead, k)
    const NF(byte_pairs) *bytes = (const NF(byte_pairs) *)(values + 2 * NF_PANEL * k);
    const NF(pairs) low = __builtin_convertvector(bytes[0], NF(pairs));
    const NF(pairs) high = __builtin_convertvector(bytes[1], NF(pairs));
    NF_UNROLL for (int r = 0; r < rows; r++) {
      int32_t pair;
      memcpy(&pair, x + (size_t)r * stride + 4 * k, 4);
      const NF(pairs) a = (NF(pairs))(pair - (vi){});
      sum[r][0] = NF(madd)(sum[r][0], a, low);
      sum[r][1] = NF(madd)(sum[r][1], a, high);
    }
  }
}
#endif

// The sums of `rows` rows with one panel, as [rows, NF_PANEL] values of f32.
NF_INLINE void NF(panel_sums)(const nf_dense *layer, const char *x, size_t stride, const char *panel, int rows,
                              NF(ahead) *ahead, float *out) {
  const float *offsets = (const float *)panel + 2 * NF_PANEL, *scales = (const float *)panel + NF_PANEL;
  const char *values = panel + NF_PANEL_HEADER;
  if (layer->precision == NF_INT8) {
    vi sum[NF_ROWS][2];
#ifdef NF_VNNI
    const vi low = (vi)NF(load)(offsets), high = (vi)NF(load)(offsets + NF_WIDTH);
#else
    (void)offsets;
    const vi low = {}, high = {};
#endif
    NF_UNROLL for (int r = 0; r < rows; r++) {
      sum[r][0] = low;
      sum[r][1] = high;
    }
    NF(sum_int8)(x + NF_ROW_HEADER, stride, values, layer->inputs, rows, ahead, sum);
    NF_UNROLL for (int r = 0; r < rows; r++) {
      float step;
      memcpy(&step, x + (size_t)r * stride, 4);
      for (int half = 0; half < 2; half++) {
        const vf scale = step * NF(load)(scales + half * NF_WIDTH);
        NF(store)(out + r * NF_PANEL + half * NF_WIDTH, __builtin_convertvector(sum[r][half], vf) * scale);
      }
    }
    return;
  }
  vf sum[NF_ROWS][2];
  NF_UNROLL for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = (vf){};
  if (layer->precision == NF_BF16) {
    NF(sum_bf16)(x, stride, values, layer->inputs, rows, ahead, sum);
  } else {
    NF(sum_f32)(x, stride, (const float *)values, layer->inputs, rows, ahead, sum);
  }
  NF_UNROLL for (int r = 0; r < rows; r++) {
    NF(store)(out + r * NF_PANEL, sum[r][0]);
    NF(store)(out + r * NF_PANEL + NF_WIDTH, sum[r][1]);
  }
}

// y = activation(sums + bias) for `rows` rows and the first `columns` outputs of a panel.
NF_INLINE void NF(finish_rows)(const float *sums, const float *bias, nf_activation activation, size_t rows,
                               size_t columns, float *y, size_t y_stride) {
  const vf low_bias = NF(load)(bias), high_bias = NF(load)(bias + NF_WIDTH);
  for (size_t r = 0; r < rows; r++, sums += NF_PANEL, y += y_stride) {
    const vf low = NF(activate)(NF(load)(sums) + low_bias, activation);
    const vf high = NF(activate)(NF(load)(sums + NF_WIDTH) + high_bias, activation);
    if (columns == NF_PANEL) {
      NF(store)(y, low);
      NF(store)(y + NF_WIDTH, high);
    } else {
      float part[NF_PANEL];
      NF(store)(part, low);
      NF(store)(part + NF_WIDTH, high);
      memcpy(y, part, columns * sizeof(float));
    }
  }
}

NF_INLINE void NF(finish)(const nf_dense *layer, const float *sums, const float *bias, size_t rows, size_t columns, float *y) {
  // One loop for each activation.
  switch (layer->activation) {
#define NF_CASE(ACTIVATION) \
  case ACTIVATION: NF(finish_rows)(sums, bias, ACTIVATION, rows, columns, y, layer->outputs); break;
    NF_CASE(NF_IDENTITY) NF_CASE(NF_GELU_ERF) NF_CASE(NF_GELU_TANH) NF_CASE(NF_RELU) NF_CASE(NF_SILU)
    NF_CASE(NF_GELU_ROUNDED)
#undef NF_CASE
  }
}

// The rows of the next of the blocks that `left` rows are cut into: as few as hold them, and as even as possible.
NF_INLINE size_t NF(block)(size_t left) {
  const size_t blocks = (left + NF_ROWS - 1) / NF_ROWS;
  return (left + blocks - 1) / blocks;
}

// The lines to fetch at a time, so that the blocks of one panel fetch the next one whole.
NF_INLINE size_t NF(lines_ahead)(const nf_dense *layer, size_t rows, size_t bytes) {
  const size_t blocks = (rows + NF_ROWS - 1) / NF_ROWS;
  const size_t instructions = (layer->inputs + NF(together)(layer->precision) - 1) / NF(together)(layer->precision);
  const size_t times = blocks * ((instructions + NF_STEPS - 1) / NF_STEPS);
  return (bytes / 64 + times - 1) / times;
}

#if NF_ROWS == 12
#define NF_EVERY_BLOCK(CASE) \
  CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#else
#define NF_EVERY_BLOCK(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#endif

static void NF(dense_rows)(const nf_dense *layer, const void *x, size_t rows, size_t first, size_t panels, float *y) {
  const size_t stride = layer->stride;
  const size_t bytes = NF(panel_bytes)(layer->precision, layer->inputs);
  const char *panel = (const char *)layer->panels + first * bytes;
  float sums[NF_ROWS * NF_PANEL] __attribute__((aligned(64)));
  for (size_t o = first * NF_PANEL; o < layer->outputs && panels > 0; o += NF_PANEL, panel += bytes, panels--) {
    const size_t columns = layer->outputs - o < NF_PANEL ? layer->outputs - o : NF_PANEL;
    NF(ahead) ahead = {panel + bytes, panels > 1 && columns < layer->outputs - o ? NF(lines_ahead)(layer, rows, bytes) : 0};
    for (size_t r = 0, size; r < rows; r += size) {
      size = NF(block)(rows - r);
      const char *from = (const char *)x + r * stride;
#define NF_CASE(ROWS) \
  case ROWS: NF(panel_sums)(layer, from, stride, panel, ROWS, &ahead, sums); break;
      switch (size) { NF_EVERY_BLOCK(NF_CASE) }
#undef NF_CASE
      NF(finish)(layer, sums, (const float *)panel, size, columns, y + r * layer->outputs + o);
    }
  }
}
