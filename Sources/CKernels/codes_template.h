// Loops over int8 codes; part of template.h.

// Σ stored·query over `count` bytes, a multiple of 64; exact.
NF_INLINE int32_t NF(code_product)(const uint8_t *stored, const int8_t *query, size_t count) {
#if defined(NF_VNNI)
  __m512i even = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
  size_t i = 0;
  for (; i + 128 <= count; i += 128) {
    even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(stored + i), _mm512_loadu_si512(query + i));
    odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(stored + i + 64), _mm512_loadu_si512(query + i + 64));
  }
  if (i < count) even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(stored + i), _mm512_loadu_si512(query + i));
  return _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
#elif defined(NF_MADD256)
  __m256i sum = _mm256_setzero_si256();
  for (size_t i = 0; i < count; i += 16) {
    // In 16 bits: the byte product of AVX2 saturates.
    __m256i a = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(stored + i)));
    __m256i b = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(query + i)));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  }
  int32_t lane[8], total = 0;
  _mm256_storeu_si256((__m256i *)lane, sum);
  for (int i = 0; i < 8; i++) total += lane[i];
  return total;
#else
  int32_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += (int32_t)stored[i] * (int32_t)query[i];
  return sum;
#endif
}

NF_INLINE float NF(code_key)(const nf_codes *codes, const uint8_t *record, const nf_code_query *query) {
  const nf_code_header *header = (const nf_code_header *)(record + codes->padded);
  float product =
      query->high_step * (float)(NF(code_product)(record, query->high, codes->padded) - query->high_bias);
  if (query->low)
    product += query->low_step * (float)(NF(code_product)(record, query->low, codes->padded) - query->low_bias);
  return header->a * product + header->b;
}

static void NF(code_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                          float *keys) {
  for (size_t i = 0; i < count; i++)
    keys[i] = NF(code_key)(codes, codes->base + slots[i] * codes->stride, query);
}

static void NF(code_distances)(const nf_codes *codes, uint32_t slot, const uint32_t *slots, size_t count,
                               int euclidean, float *distances) {
  // The stored row as a signed query, piece by piece: rows are short enough for the stack, and longer ones go in pieces.
  int8_t signed_codes[8192];
  const uint8_t *record = codes->base + slot * codes->stride;
  const nf_code_header *header = (const nf_code_header *)(record + codes->padded);
  const size_t padded = codes->padded < sizeof signed_codes ? codes->padded : sizeof signed_codes;
  int32_t sum = 0;
  for (size_t i = 0; i < padded; i++) {
    signed_codes[i] = (int8_t)(record[i] ^ 0x80);
    sum += signed_codes[i];
  }
  const float step = header->a * (euclidean ? 0.5f : 1.0f);
  for (size_t i = 0; i < count; i++) {
    const uint8_t *other = codes->base + slots[i] * codes->stride;
    const nf_code_header *its = (const nf_code_header *)(other + codes->padded);
    if (i + 1 < count) __builtin_prefetch(codes->base + slots[i + 1] * codes->stride);
    const float key =
        its->a * (step * (float)(NF(code_product)(other, signed_codes, padded) - 128 * sum)) + its->b;
    distances[i] = euclidean ? -header->b - key : 2.0f - 2.0f * key;
  }
}

static size_t NF(code_neighbors)(const nf_codes *codes, const nf_code_query *query, uint32_t slot, uint64_t *visited,
                                 uint32_t *slots, float *keys) {
  const uint32_t *list = nf_list(codes, slot);
  size_t listed = __atomic_load_n(list, __ATOMIC_ACQUIRE), count = 0;
  if (listed > codes->capacity) listed = codes->capacity;
  for (size_t i = 0; i < listed; i++) {
    const uint32_t id = __atomic_load_n(list + 1 + i, __ATOMIC_ACQUIRE);
    uint64_t *word = visited + id / 64;
    const uint64_t bit = 1ull << (id % 64);
    if (*word & bit) continue;
    *word |= bit;
    slots[count++] = id;
    const uint8_t *record = codes->base + id * codes->stride;
    __builtin_prefetch(record);
    __builtin_prefetch(record + codes->padded);
  }
  // The second pass asks for the rest of a record shortly before it is needed.
  const size_t ahead = 3;
  for (size_t i = 0; i < count + ahead; i++) {
    if (i < count)
      for (size_t line = 64; line < codes->padded; line += 64)
        __builtin_prefetch(codes->base + slots[i] * codes->stride + line);
    if (i >= ahead) keys[i - ahead] = NF(code_key)(codes, codes->base + slots[i - ahead] * codes->stride, query);
  }
  return count;
}

static size_t NF(code_scan)(const nf_codes *codes, const nf_code_query *query, const uint64_t *live, size_t words,
                            uint32_t first, float threshold, nf_code_hit *hits) {
  size_t count = 0;
  for (size_t w = 0; w < words; w++) {
    for (uint64_t rest = live[w]; rest; rest &= rest - 1) {
      const uint32_t slot = first + (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(rest);
      const uint8_t *record = codes->base + slot * codes->stride;
      const nf_code_header *header = (const nf_code_header *)(record + codes->padded);
      const float key = NF(code_key)(codes, record, query);
      const float width = header->e * query->norm + header->n * query->error + 4e-7f * fabsf(header->b);
      hits[count] = (nf_code_hit){slot, 0, key, width};
      // Not "at least": a bound that is not a number rules nothing out.
      count += !(key + width < threshold);
    }
  }
  return count;
}

static size_t NF(code_select)(const nf_codes *codes, uint32_t first, const uint64_t *live, size_t rows,
                              const int32_t *products, size_t stride, const nf_tile_queries *queries,
                              nf_code_hit *hits) {
  size_t found = 0;
  for (size_t row = 0; row < rows; row++) {
    if (!(live[row / 64] >> (row % 64) & 1)) continue;
    const nf_code_header header = *nf_header(codes, first + row);
    const int32_t *values = products + row * stride;
    const float slack = 4e-7f * fabsf(header.b);
    const vf a = NF(splat)(header.a), b = NF(splat)(header.b), e = NF(splat)(header.e), n = NF(splat)(header.n),
             s = NF(splat)(slack);
    size_t j = 0;
    for (; j + NF_WIDTH <= queries->count; j += NF_WIDTH) {
      vi product, bias;
      memcpy(&product, values + j, sizeof product);
      memcpy(&bias, queries->biases + j, sizeof bias);
      const vf key = a * (NF(load)(queries->steps + j) * __builtin_convertvector(product - bias, vf)) + b;
      const vf width = e * NF(load)(queries->norms + j) + n * NF(load)(queries->errors + j) + s;
      const vi in = ~(vi)(key + width < NF(load)(queries->thresholds + j));
      if (!__builtin_reduce_or(in)) continue;
      for (size_t lane = 0; lane < NF_WIDTH; lane++)
        if (in[lane])
          hits[found++] = (nf_code_hit){first + (uint32_t)row, (uint32_t)(j + lane), key[lane], width[lane]};
    }
    for (; j < queries->count; j++) {
      const float key = header.a * (queries->steps[j] * (float)(values[j] - queries->biases[j])) + header.b;
      const float width = header.e * queries->norms[j] + header.n * queries->errors[j] + slack;
      if (!(key + width < queries->thresholds[j]))
        hits[found++] = (nf_code_hit){first + (uint32_t)row, (uint32_t)j, key, width};
    }
  }
  return found;
}

// In place: the Walsh–Hadamard transform of a power of two of values, times 1/√count.
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
    // The block lies at the front and at the back by turns, so that every value mixes with every other.
    NF(hadamard)(round % 2 ? x + (count - block) : x, block);
  }
}

static float NF(code_quantize)(const float *x, size_t count, float step, uint8_t zero, uint8_t *out) {
  double square = 0;
  const float inverse = step > 0 ? 1.0f / step : 0.0f;
  for (size_t i = 0; i < count; i++) {
    float value = rintf(x[i] * inverse);
    value = value > 127.0f ? 127.0f : value < -127.0f ? -127.0f : value;
    const double error = (double)x[i] - (double)step * (double)value;
    square += error * error;
    out[i] = (uint8_t)((int)value + zero);
  }
  return (float)sqrt(square);
}

static double NF(distance_f64)(const float *a, const float *b, size_t count) {
  vd s0 = {}, s1 = {};
  size_t i = 0;
  for (; i + 2 * NF_WIDTH <= count; i += 2 * NF_WIDTH) {
    vd d0 = __builtin_convertvector(NF(load)(a + i), vd) - __builtin_convertvector(NF(load)(b + i), vd);
    vd d1 = __builtin_convertvector(NF(load)(a + i + NF_WIDTH), vd) -
            __builtin_convertvector(NF(load)(b + i + NF_WIDTH), vd);
    s0 += d0 * d0;
    s1 += d1 * d1;
  }
  s0 += s1;
  double sum = NF(sum_f64)(&s0);
  for (; i < count; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
  return sum;
}
