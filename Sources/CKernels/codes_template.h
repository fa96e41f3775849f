// Loops over int8 codes; part of template.h.

// Σ h·query and, when asked for, Σ l·query over the two planes of nibbles; exact. `count` is a multiple of 128.
NF_INLINE int32_t NF(nibble_product)(const uint8_t *plane, const int8_t *query, size_t count) {
#if defined(NF_VNNI)
  const __m512i mask = _mm512_set1_epi8(15);
  __m512i even = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
  for (size_t i = 0; i < count; i += 128) {
    const __m512i packed = _mm512_loadu_si512(plane + i / 2);
    even = _mm512_dpbusd_epi32(even, _mm512_and_si512(packed, mask), _mm512_loadu_si512(query + i));
    odd = _mm512_dpbusd_epi32(odd, _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask),
                              _mm512_loadu_si512(query + i + 64));
  }
  return _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
#elif defined(NF_MADD256)
  const __m256i mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
  for (size_t i = 0; i < count; i += 128) {
    for (size_t half = 0; half < 64; half += 32) {
      const __m256i packed = _mm256_loadu_si256((const __m256i *)(plane + i / 2 + half));
      // Two products of a nibble and a signed byte stay below 2¹²: 16 bits hold them.
      const __m256i low = _mm256_maddubs_epi16(_mm256_and_si256(packed, mask),
                                               _mm256_loadu_si256((const __m256i *)(query + i + half)));
      const __m256i high = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(packed, 4), mask),
                                                _mm256_loadu_si256((const __m256i *)(query + i + 64 + half)));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_add_epi16(low, high), ones));
    }
  }
  int32_t lane[8], total = 0;
  _mm256_storeu_si256((__m256i *)lane, sum);
  for (int i = 0; i < 8; i++) total += lane[i];
  return total;
#else
  int32_t sum = 0;
  for (size_t i = 0; i < count; i += 128) {
    for (size_t j = 0; j < 64; j++) {
      const uint8_t packed = plane[i / 2 + j];
      sum += (int32_t)(packed & 15) * query[i + j] + (int32_t)(packed >> 4) * query[i + 64 + j];
    }
  }
  return sum;
#endif
}

// Σ stored·query over both planes; exact.
NF_INLINE int32_t NF(code_product)(const uint8_t *record, const int8_t *query, size_t count) {
#if defined(NF_VNNI)
  const uint8_t *lower = record + count / 2;
  const __m512i mask = _mm512_set1_epi8(15);
  __m512i high = _mm512_setzero_si512(), low = _mm512_setzero_si512();
  for (size_t i = 0; i < count; i += 128) {
    const __m512i h = _mm512_loadu_si512(record + i / 2), l = _mm512_loadu_si512(lower + i / 2);
    const __m512i first = _mm512_loadu_si512(query + i), second = _mm512_loadu_si512(query + i + 64);
    high = _mm512_dpbusd_epi32(high, _mm512_and_si512(h, mask), first);
    low = _mm512_dpbusd_epi32(low, _mm512_and_si512(l, mask), first);
    high = _mm512_dpbusd_epi32(high, _mm512_and_si512(_mm512_srli_epi16(h, 4), mask), second);
    low = _mm512_dpbusd_epi32(low, _mm512_and_si512(_mm512_srli_epi16(l, 4), mask), second);
  }
  return _mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(high, 4), low));
#else
  return 16 * NF(nibble_product)(record, query, count) + NF(nibble_product)(record + count / 2, query, count);
#endif
}

NF_INLINE float NF(code_key)(const nf_codes *codes, uint32_t slot, const nf_code_query *query) {
  const nf_code_header *header = nf_header(codes, slot);
  const uint8_t *record = nf_record(codes, slot);
  const float product = query->step * (float)(NF(code_product)(record, query->codes, codes->padded) - query->bias);
  return header->a * product + header->b;
}

// From the upper plane alone, whose nibbles stand for the middle of what they leave open.
NF_INLINE float NF(rough_key)(const nf_codes *codes, uint32_t slot, const nf_code_query *query) {
  // 128·Σ is the bias, so 8·Σ is a sixteenth of it.
  const int32_t product = 16 * NF(nibble_product)(nf_record(codes, slot), query->codes, codes->padded) + query->bias / 16;
  const float value = query->step * (float)(product - query->bias);
  if (codes->step > 0) return codes->step * value;
  const nf_code_header *header = nf_header(codes, slot);
  return header->a * value + header->b;
}

static void NF(code_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                          float *keys) {
  for (size_t i = 0; i < count; i++) keys[i] = NF(code_key)(codes, slots[i], query);
}

static void NF(code_rough_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                                float *keys) {
  for (size_t i = 0; i < count; i++) {
    if (i + 8 < count) nf_prefetch(nf_record(codes, slots[i + 8]), codes->padded / 2);
    keys[i] = NF(rough_key)(codes, slots[i], query);
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

static void NF(code_distances)(const nf_codes *codes, uint32_t slot, const uint32_t *slots, size_t count,
                               int euclidean, float *distances) {
  // The stored row as a signed query, piece by piece: rows are short enough for the stack, and longer ones go in pieces.
  int8_t signed_codes[8192];
  const uint8_t *record = nf_record(codes, slot);
  const nf_code_header *header = nf_header(codes, slot);
  const size_t padded = codes->padded < sizeof signed_codes ? codes->padded : sizeof signed_codes;
  int32_t sum = 0;
  NF(code_unpack)(record, padded, (uint8_t *)signed_codes);
  for (size_t i = 0; i < padded; i++) {
    signed_codes[i] = (int8_t)((uint8_t)signed_codes[i] ^ 0x80);
    sum += signed_codes[i];
  }
  const float step = header->a * (euclidean ? 0.5f : 1.0f);
  for (size_t i = 0; i < count; i++) {
    const uint8_t *other = nf_record(codes, slots[i]);
    const nf_code_header *its = nf_header(codes, slots[i]);
    if (i + 1 < count) __builtin_prefetch(nf_record(codes, slots[i + 1]));
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
    nf_prefetch(nf_record(codes, id), codes->padded / 2);
    if (!(codes->step > 0)) __builtin_prefetch(nf_header(codes, id));
  }
  for (size_t i = 0; i < count; i++) keys[i] = NF(rough_key)(codes, slots[i], query);
  return count;
}

static size_t NF(code_scan)(const nf_codes *codes, const nf_code_query *query, const uint64_t *live, size_t words,
                            uint32_t first, float threshold, nf_code_hit *hits) {
  size_t count = 0;
  for (size_t w = 0; w < words; w++) {
    for (uint64_t rest = live[w]; rest; rest &= rest - 1) {
      const uint32_t slot = first + (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(rest);
      const nf_code_header *header = nf_header(codes, slot);
      // Some records ahead, which a prefetch may name even where there are none.
      nf_prefetch(nf_record(codes, slot) + 12 * codes->padded, codes->padded);
      const float key = NF(code_key)(codes, slot, query);
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

static float NF(code_quantize)(const float *x, size_t count, float step, int8_t *out) {
  double square = 0;
  const float inverse = step > 0 ? 1.0f / step : 0.0f;
  for (size_t i = 0; i < count; i++) {
    float value = rintf(x[i] * inverse);
    value = value > 127.0f ? 127.0f : value < -127.0f ? -127.0f : value;
    const double error = (double)x[i] - (double)step * (double)value;
    square += error * error;
    out[i] = (int8_t)value;
  }
  return (float)sqrt(square);
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
