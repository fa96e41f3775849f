// Kernels that turn rows and queries into codes; part of template.h.

static void NF(code_cells)(const float *centroids, size_t count, size_t stride, const float *query, float *products,
                           float *squares) {
  for (size_t c = 0; c < count; c++) {
    const float *centroid = centroids + c * stride;
    if (products) {
      vf s0 = {}, s1 = {};
      for (size_t i = 0; i < stride; i += 2 * NF_WIDTH) {
        s0 = NF(fma)(NF(load)(query + i), NF(load)(centroid + i), s0);
        s1 = NF(fma)(NF(load)(query + i + NF_WIDTH), NF(load)(centroid + i + NF_WIDTH), s1);
      }
      products[c] = NF(sum)(s0 + s1);
    }
    if (squares) {
      vf s0 = {}, s1 = {};
      for (size_t i = 0; i < stride; i += 2 * NF_WIDTH) {
        const vf d0 = NF(load)(query + i) - NF(load)(centroid + i);
        const vf d1 = NF(load)(query + i + NF_WIDTH) - NF(load)(centroid + i + NF_WIDTH);
        s0 = NF(fma)(d0, d0, s0);
        s1 = NF(fma)(d1, d1, s1);
      }
      squares[c] = NF(sum)(s0 + s1);
    }
  }
}

// The Walsh–Hadamard transform of `count` values, a power of two, times 1/√count, in place.
NF_INLINE void NF(hadamard)(float *x, size_t count) {
  for (size_t half = 1; half < count; half *= 2) {
    for (size_t start = 0; start < count; start += 2 * half) {
      for (size_t i = start; i < start + half; i++) {
        const float sum = x[i] + x[i + half], difference = x[i] - x[i + half];
        x[i] = sum;
        x[i + half] = difference;
      }
    }
  }
  const float scale = 1.0f / sqrtf((float)count);
  for (size_t i = 0; i < count; i++) x[i] *= scale;
}

static void NF(code_rotate)(float *x, size_t count, const float *signs, size_t rounds) {
  size_t block = 1;
  while (2 * block <= count) block *= 2;
  for (size_t round = 0; round < rounds; round++) {
    const float *sign = signs + round * count;
    for (size_t i = 0; i < count; i++) x[i] *= sign[i];
    // The transform is alternately of the first and of the last values, so that every value is mixed with every other.
    NF(hadamard)(round % 2 ? x + (count - block) : x, block);
  }
}

// 1.5·2²³. Adding it rounds a float to an integer, which is then in the low bits.
#define NF_ROUND 12582912.0f
#define NF_ROUND_BITS 0x4B400000

static float NF(code_quantize)(const float *x, size_t count, float step, int8_t *out) {
  const float inverse = step > 0 ? 1.0f / step : 0.0f;
  const vf scale = NF(splat)(inverse), size = NF(splat)(step), magic = NF(splat)(NF_ROUND);
  vf square = {};
  size_t i = 0;
  for (; i + NF_WIDTH <= count; i += NF_WIDTH) {
    const vf value = NF(load)(x + i), rounded = (value * scale + magic) - magic;
    const vf error = value - size * rounded;
    square = NF(fma)(error, error, square);
    const NF(bytes) narrow = __builtin_convertvector(__builtin_convertvector(rounded, vi), NF(bytes));
    memcpy(out + i, &narrow, sizeof narrow);
  }
  float rest = 0;
  for (; i < count; i++) {
    const float value = rintf(x[i] * inverse), error = x[i] - step * value;
    rest += error * error;
    out[i] = (int8_t)value;
  }
  return sqrtf(NF(sum)(square) + rest);
}

// out[c] = q·centroid c, or ‖q − centroid c‖², for `cells` centroids, which are in blocks of NF_BLOCK, dimension by
// dimension.
NF_INLINE void NF(cells)(const uint16_t *blocks, size_t cells, size_t count, const float *q, int is_dot, float *out) {
  enum { parts = NF_BLOCK / NF_WIDTH, chains = 4 };
  for (size_t first = 0; first < cells; first += NF_BLOCK, blocks += NF_BLOCK * count) {
    vf sums[chains][parts] = {};
    // `count` is a multiple of 4; values after the last dimension are 0.
    for (size_t i = 0; i < count; i += chains) {
      for (size_t k = 0; k < chains; k++) {
        const vf value = NF(splat)(q[i + k]);
        for (size_t p = 0; p < parts; p++) {
          // A bf16 is the upper half of an f32.
          NF(halves) half;
          memcpy(&half, blocks + (i + k) * NF_BLOCK + p * NF_WIDTH, sizeof half);
          const vf centroid = (vf)(__builtin_convertvector(half, vi) << 16);
          const vf factor = is_dot ? centroid : value - centroid;
          sums[k][p] = NF(fma)(is_dot ? value : factor, factor, sums[k][p]);
        }
      }
    }
    for (size_t p = 0; p < parts; p++)
      NF(store)(out + first + p * NF_WIDTH, (sums[0][p] + sums[1][p]) + (sums[2][p] + sums[3][p]));
  }
}

static size_t NF(nearest_cells)(const float *terms, size_t cells, float least, size_t most, uint32_t *out) {
  size_t found = 0;
  for (size_t c = 0; c < cells; c += NF_WIDTH) {
    const vf value = NF(load)(terms + c);
    const vi in = value >= NF(splat)(found == most ? terms[out[most - 1]] : least);
    for (uint32_t bits = NF(bits)(in); bits != 0; bits &= bits - 1) {
      const size_t cell = c + (size_t)__builtin_ctz(bits);
      if (cell >= cells) break;
      const float term = terms[cell];
      if (found == most && !(term > terms[out[most - 1]])) continue;
      size_t place = found < most ? found++ : most - 1;
      for (; place > 0 && terms[out[place - 1]] < term; place--) out[place] = out[place - 1];
      out[place] = (uint32_t)cell;
    }
  }
  return found;
}

static void NF(code_query)(const float *z, size_t stride, const uint16_t *blocks, size_t cells, int is_dot, int8_t *upper,
                           int8_t *lower, float *terms, float *reach, nf_code_query *out) {
  vf largest = {};
  for (size_t i = 0; i < stride; i += NF_WIDTH) {
    const vf value = NF(load)(z + i);
    largest = NF(max)(largest, NF(max)(value, -value));
  }
  const float top = NF(largest)(largest), step = top / 16319.0f;
  // A subnormal step has no finite inverse, so such a query is treated as zero.
  const vf scale = NF(splat)(step > 1e-37f ? 1.0f / step : 0.0f), size = NF(splat)(step), magic = NF(splat)(NF_ROUND);
  vf square = {}, upper_square = {};
  vi sum = {}, upper_sum = {};
  for (size_t i = 0; i < stride; i += NF_WIDTH) {
    const vf value = NF(load)(z + i), rounded = (value * scale + magic) - magic;
    const vi whole = __builtin_convertvector(rounded, vi), high = (whole + 64) >> 7, low = whole - (high << 7);
    const vf error = value - size * rounded;
    const vf rest = value - size * __builtin_convertvector(high << 7, vf);
    square = NF(fma)(error, error, square);
    upper_square = NF(fma)(rest, rest, upper_square);
    sum += whole;
    upper_sum += high;
    const NF(bytes) first = __builtin_convertvector(high, NF(bytes)), second = __builtin_convertvector(low, NF(bytes));
    memcpy(upper + i, &first, sizeof first);
    memcpy(lower + i, &second, sizeof second);
  }
  int32_t lane[NF_WIDTH], upper_lane[NF_WIDTH];
  memcpy(lane, &sum, sizeof sum);
  memcpy(upper_lane, &upper_sum, sizeof upper_sum);
  out->step = step;
  out->sum = out->upper_sum = 0;
  for (int r = 0; r < NF_WIDTH; r++) {
    out->sum += lane[r];
    out->upper_sum += upper_lane[r];
  }
  out->error = sqrtf(NF(sum)(square));
  out->upper_error = sqrtf(NF(sum)(upper_square));
  NF(cells)(blocks, cells, stride, z, is_dot, terms);
  vf best = NF(splat)(-FLT_MAX);
  // Places after the last cell, up to a whole block, get terms that are never the best.
  const size_t room = (cells + NF_BLOCK - 1) / NF_BLOCK * NF_BLOCK;
  for (size_t c = cells; c < room; c++) terms[c] = is_dot ? -FLT_MAX : FLT_MAX;
  for (size_t c = 0; c < room; c += NF_WIDTH) {
    vf value = NF(load)(terms + c);
    if (!is_dot) {
      NF(store)(reach + c, __builtin_elementwise_sqrt(value));
      value = -value;
      NF(store)(terms + c, value);
    }
    best = NF(max)(best, value);
  }
  out->best = NF(largest)(best);
}

static double NF(code_place)(const float *row, double scale, const float *mean, size_t count, size_t stride,
                             const float *signs, size_t rounds, float *z) {
  for (size_t i = 0; i < count; i++) z[i] = (float)((double)row[i] * scale - (mean ? (double)mean[i] : 0.0));
  for (size_t i = count; i < stride; i++) z[i] = 0;
  const double length = sqrt(NF(dot_f64_one)(z, z, count));
  NF(code_rotate)(z, count, signs, rounds);
  return length;
}

static void NF(code_pack)(const int8_t *values, size_t count, uint8_t *record) {
  uint8_t *high = record, *low = record + count / 2;
  for (size_t i = 0; i < count; i += 128) {
    for (size_t j = 0; j < 64; j++) {
      const uint8_t a = (uint8_t)values[i + j] ^ 0x80, b = (uint8_t)values[i + 64 + j] ^ 0x80;
      high[i / 2 + j] = (uint8_t)(a >> 4 | (b & 240));
      low[i / 2 + j] = (uint8_t)((a & 15) | b << 4);
    }
  }
}

static void NF(code_unpack)(const uint8_t *record, size_t count, uint8_t *out) {
  const uint8_t *high = record, *low = record + count / 2;
  for (size_t i = 0; i < count; i += 128) {
    for (size_t j = 0; j < 64; j++) {
      const uint8_t h = high[i / 2 + j], l = low[i / 2 + j];
      out[i + j] = (uint8_t)((h & 15) << 4 | (l & 15));
      out[i + 64 + j] = (uint8_t)((h & 240) | l >> 4);
    }
  }
}
