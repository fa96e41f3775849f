// Attention of one sequence, head by head; part of template.h.
//
// The keys of a head are transposed once into `keys_t` [head_width, padded], so that one vector of them gives the
// scores of NF_WIDTH keys. Four queries share each load. The scores and probabilities of four queries at a time are in
// `scores` [4, padded], which is small enough to stay in cache.

// scores[r, j] = Σ_d queries[r, d]·keys_t[d, j] for QUERIES queries.
#define NF_SCORES(QUERIES)                                                                            \
  for (size_t j = 0; j < padded; j += 2 * NF_WIDTH) {                                                 \
    vf low[QUERIES] = {}, high[QUERIES] = {};                                                         \
    for (size_t d = 0; d < head_width; d++) {                                                         \
      vf key_low = NF(load)(keys_t + d * padded + j), key_high = NF(load)(keys_t + d * padded + j + NF_WIDTH); \
      for (int r = 0; r < QUERIES; r++) {                                                             \
        vf q = NF(splat)(query[r * stride + d]);                                                      \
        low[r] = NF(fma)(q, key_low, low[r]);                                                         \
        high[r] = NF(fma)(q, key_high, high[r]);                                                      \
      }                                                                                               \
    }                                                                                                 \
    for (int r = 0; r < QUERIES; r++) {                                                               \
      NF(store)(scores + r * padded + j, low[r]);                                                     \
      NF(store)(scores + r * padded + j + NF_WIDTH, high[r]);                                         \
    }                                                                                                 \
  }

// out[r, c] = Σ_j scores[r, j]·value[j, c] for QUERIES queries, two vectors of columns at a time.
#define NF_WEIGHTED(QUERIES)                                                                          \
  for (; c + 2 * NF_WIDTH <= head_width; c += 2 * NF_WIDTH) {                                         \
    vf low[QUERIES] = {}, high[QUERIES] = {};                                                         \
    for (size_t j = 0; j < length; j++) {                                                             \
      vf v_low = NF(load)(value + j * stride + c), v_high = NF(load)(value + j * stride + c + NF_WIDTH); \
      for (int r = 0; r < QUERIES; r++) {                                                             \
        vf p = NF(splat)(scores[r * padded + j]);                                                     \
        low[r] = NF(fma)(p, v_low, low[r]);                                                           \
        high[r] = NF(fma)(p, v_high, high[r]);                                                        \
      }                                                                                               \
    }                                                                                                 \
    for (int r = 0; r < QUERIES; r++) {                                                               \
      NF(store)(target + r * width + c, low[r]);                                                      \
      NF(store)(target + r * width + c + NF_WIDTH, high[r]);                                          \
    }                                                                                                 \
  }

// Turns a row of scores into probabilities, in place; the padding becomes 0.
NF_INLINE void NF(softmax)(float *row, size_t length, size_t padded, float scale) {
  for (size_t j = length; j < padded; j++) row[j] = -FLT_MAX;
  vf top_v = NF(splat)(-FLT_MAX);
  for (size_t j = 0; j < padded; j += NF_WIDTH) top_v = NF(max)(top_v, NF(load)(row + j));
  vf top = NF(splat)(NF(largest)(top_v)), scale_v = NF(splat)(scale), sum_v = {};
  for (size_t j = 0; j < padded; j += NF_WIDTH) {
    vf e = NF(exp)((NF(load)(row + j) - top) * scale_v);
    NF(store)(row + j, e);
    sum_v += e;
  }
  vf inverse = NF(splat)(1.0f / NF(sum)(sum_v));
  for (size_t j = 0; j < padded; j += NF_WIDTH) NF(store)(row + j, NF(load)(row + j) * inverse);
}

static void NF(attention)(const float *qkv, size_t length, size_t heads, size_t head_width, float scale, float *scratch,
                          float *out) {
  const size_t width = heads * head_width, stride = 3 * width;
  const size_t padded = (length + 2 * NF_WIDTH - 1) / (2 * NF_WIDTH) * (2 * NF_WIDTH);
  float *keys_t = scratch, *scores = scratch + head_width * padded;
  for (size_t h = 0; h < heads; h++) {
    const float *key = qkv + width + h * head_width, *value = qkv + 2 * width + h * head_width;
    for (size_t d = 0; d < head_width; d++) {
      for (size_t j = 0; j < length; j++) keys_t[d * padded + j] = key[j * stride + d];
      for (size_t j = length; j < padded; j++) keys_t[d * padded + j] = 0;
    }
    for (size_t i = 0; i < length;) {
      const float *query = qkv + i * stride + h * head_width;
      float *target = out + i * width + h * head_width;
      const size_t queries = length - i >= 4 ? 4 : 1;
      if (queries == 4) {
        NF_SCORES(4)
      } else {
        NF_SCORES(1)
      }
      for (size_t r = 0; r < queries; r++) NF(softmax)(scores + r * padded, length, padded, scale);
      size_t c = 0;
      if (queries == 4) {
        NF_WEIGHTED(4)
      } else {
        NF_WEIGHTED(1)
      }
      for (; c < head_width; c++) {
        for (size_t r = 0; r < queries; r++) {
          float sum = 0;
          for (size_t j = 0; j < length; j++) sum += scores[r * padded + j] * value[j * stride + c];
          target[r * width + c] = sum;
        }
      }
      i += queries;
    }
  }
}

#undef NF_SCORES
#undef NF_WEIGHTED
