// Loops over int8 codes; part of template.h.

// Records whose products with one query are summed together: their horizontal sums share instructions.
#define NF_LANES 4

#if defined(NF_VNNI)
// The horizontal sums of four vectors.
NF_INLINE void NF(sums_of_four)(const __m512i *x, int32_t *out) {
  const __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(x[0], x[1]), _mm512_unpackhi_epi32(x[0], x[1]));
  const __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(x[2], x[3]), _mm512_unpackhi_epi32(x[2], x[3]));
  const __m512i c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  const __m256i d = _mm256_add_epi32(_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64(c, 1));
  _mm_storeu_si128((__m128i *)out, _mm_add_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1)));
}
#elif defined(NF_MADD256)
NF_INLINE int32_t NF(sum_of_lanes)(__m256i v) {
  const __m128i a = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i b = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(b, _mm_shuffle_epi32(b, 0xb1)));
}

// Σ u·q of 32 unsigned bytes and as many signed ones. Bytes go nibble by nibble: two products of a nibble and a signed byte
// stay below 2¹², where those of bytes could leave 16 bits.
NF_INLINE __m256i NF(dot_bytes)(__m256i sum, __m256i u, __m256i q) {
  const __m256i mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  const __m256i low = _mm256_maddubs_epi16(_mm256_and_si256(u, mask), q);
  const __m256i high = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(u, 4), mask), q);
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(low, ones));
  return _mm256_add_epi32(sum, _mm256_slli_epi32(_mm256_madd_epi16(high, ones), 4));
}
#endif

// out[r] = Σ nibble·(128·upper + lower) over one plane of each record, modulo 2³². `count` is a multiple of 128.
NF_INLINE void NF(nibble_products)(const uint8_t *const *planes, const nf_code_query *query, size_t count, int32_t *out) {
#if defined(NF_VNNI)
  const __m512i mask = _mm512_set1_epi8(15);
  __m512i upper[NF_LANES], lower[NF_LANES];
  for (int r = 0; r < NF_LANES; r++) upper[r] = lower[r] = _mm512_setzero_si512();
  for (size_t i = 0; i < count; i += 128) {
    const __m512i u0 = _mm512_loadu_si512(query->upper + i), u1 = _mm512_loadu_si512(query->upper + i + 64);
    const __m512i l0 = _mm512_loadu_si512(query->lower + i), l1 = _mm512_loadu_si512(query->lower + i + 64);
    for (int r = 0; r < NF_LANES; r++) {
      const __m512i packed = _mm512_loadu_si512(planes[r] + i / 2);
      const __m512i first = _mm512_and_si512(packed, mask), second = _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask);
      upper[r] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(upper[r], first, u0), second, u1);
      lower[r] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(lower[r], first, l0), second, l1);
    }
  }
  for (int r = 0; r < NF_LANES; r++) upper[r] = _mm512_add_epi32(_mm512_slli_epi32(upper[r], 7), lower[r]);
  NF(sums_of_four)(upper, out);
#else
  for (int r = 0; r < NF_LANES; r++) {
#if defined(NF_MADD256)
    const __m256i mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i upper = _mm256_setzero_si256(), lower = _mm256_setzero_si256();
    for (size_t i = 0; i < count; i += 128) {
      for (size_t half = 0; half < 64; half += 32) {
        const __m256i packed = _mm256_loadu_si256((const __m256i *)(planes[r] + i / 2 + half));
        const __m256i first = _mm256_and_si256(packed, mask),
                      second = _mm256_and_si256(_mm256_srli_epi16(packed, 4), mask);
        const __m256i u0 = _mm256_loadu_si256((const __m256i *)(query->upper + i + half)),
                      u1 = _mm256_loadu_si256((const __m256i *)(query->upper + i + 64 + half)),
                      l0 = _mm256_loadu_si256((const __m256i *)(query->lower + i + half)),
                      l1 = _mm256_loadu_si256((const __m256i *)(query->lower + i + 64 + half));
        // Four products of a nibble and a signed byte stay below 2¹³.
        const __m256i u = _mm256_add_epi16(_mm256_maddubs_epi16(first, u0), _mm256_maddubs_epi16(second, u1));
        const __m256i l = _mm256_add_epi16(_mm256_maddubs_epi16(first, l0), _mm256_maddubs_epi16(second, l1));
        upper = _mm256_add_epi32(upper, _mm256_madd_epi16(u, ones));
        lower = _mm256_add_epi32(lower, _mm256_madd_epi16(l, ones));
      }
    }
    out[r] = NF(sum_of_lanes)(_mm256_add_epi32(_mm256_slli_epi32(upper, 7), lower));
#else
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i += 128) {
      int32_t upper = 0, lower = 0;
      for (size_t j = 0; j < 64; j++) {
        const int32_t first = planes[r][i / 2 + j] & 15, second = planes[r][i / 2 + j] >> 4;
        upper += first * query->upper[i + j] + second * query->upper[i + 64 + j];
        lower += first * query->lower[i + j] + second * query->lower[i + 64 + j];
      }
      sum += 128u * (uint32_t)upper + (uint32_t)lower;
    }
    out[r] = (int32_t)sum;
#endif
  }
#endif
}

// out[r] = Σ byte·(128·upper + lower) of each record, modulo 2³². `count` is a multiple of 64.
NF_INLINE void NF(byte_products)(const uint8_t *const *bytes, const nf_code_query *query, size_t count, int32_t *out) {
#if defined(NF_VNNI)
  __m512i upper[NF_LANES], lower[NF_LANES];
  for (int r = 0; r < NF_LANES; r++) upper[r] = lower[r] = _mm512_setzero_si512();
  for (size_t i = 0; i < count; i += 64) {
    const __m512i u = _mm512_loadu_si512(query->upper + i), l = _mm512_loadu_si512(query->lower + i);
    for (int r = 0; r < NF_LANES; r++) {
      const __m512i values = _mm512_loadu_si512(bytes[r] + i);
      upper[r] = _mm512_dpbusd_epi32(upper[r], values, u);
      lower[r] = _mm512_dpbusd_epi32(lower[r], values, l);
    }
  }
  for (int r = 0; r < NF_LANES; r++) upper[r] = _mm512_add_epi32(_mm512_slli_epi32(upper[r], 7), lower[r]);
  NF(sums_of_four)(upper, out);
#else
  for (int r = 0; r < NF_LANES; r++) {
#if defined(NF_MADD256)
    __m256i upper = _mm256_setzero_si256(), lower = _mm256_setzero_si256();
    for (size_t i = 0; i < count; i += 32) {
      const __m256i values = _mm256_loadu_si256((const __m256i *)(bytes[r] + i));
      upper = NF(dot_bytes)(upper, values, _mm256_loadu_si256((const __m256i *)(query->upper + i)));
      lower = NF(dot_bytes)(lower, values, _mm256_loadu_si256((const __m256i *)(query->lower + i)));
    }
    out[r] = NF(sum_of_lanes)(_mm256_add_epi32(_mm256_slli_epi32(upper, 7), lower));
#else
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i += 64) {
      int32_t upper = 0, lower = 0;
      for (size_t j = 0; j < 64; j++) {
        upper += (int32_t)bytes[r][i + j] * query->upper[i + j];
        lower += (int32_t)bytes[r][i + j] * query->lower[i + j];
      }
      sum += 128u * (uint32_t)upper + (uint32_t)lower;
    }
    out[r] = (int32_t)sum;
#endif
  }
#endif
}

// Keys of NF_LANES records by all bits of their codes.
NF_INLINE void NF(full_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, float *keys) {
  const uint8_t *records[NF_LANES];
  int32_t high[NF_LANES], low[NF_LANES];
  for (int r = 0; r < NF_LANES; r++) records[r] = nf_record(codes, slots[r]);
  if (codes->planes == 1) {
    NF(byte_products)(records, query, codes->padded, high);
  } else {
    NF(nibble_products)(records, query, codes->padded, high);
    for (int r = 0; r < NF_LANES; r++) records[r] += codes->padded / 2;
    NF(nibble_products)(records, query, codes->padded, low);
  }
  for (int r = 0; r < NF_LANES; r++) {
    const nf_code_header *header = nf_header(codes, slots[r]);
    // Differences of integers modulo 2³² are right, since they fit.
    const float product =
        codes->planes == 1
            ? (float)(int32_t)((uint32_t)high[r] - 128u * (uint32_t)query->sum)
            : 16.0f * (float)(int32_t)((uint32_t)high[r] - 8u * (uint32_t)query->sum) + (float)low[r];
    keys[r] = header->a * (query->step * product) + (query->weight * header->b + query->terms[header->cell]);
  }
}

// The same from the upper plane alone, whose nibbles stand for the middle of what they leave open.
NF_INLINE void NF(rough_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, float *keys) {
  if (codes->planes == 1) return NF(full_keys)(codes, query, slots, keys);
  const uint8_t *records[NF_LANES];
  int32_t high[NF_LANES];
  for (int r = 0; r < NF_LANES; r++) records[r] = nf_record(codes, slots[r]);
  NF(nibble_products)(records, query, codes->padded, high);
  const float middle = 8.0f * (float)query->sum;
  for (int r = 0; r < NF_LANES; r++) {
    const nf_code_header *header = nf_header(codes, slots[r]);
    const float product = 16.0f * (float)(int32_t)((uint32_t)high[r] - 8u * (uint32_t)query->sum) + middle;
    keys[r] = header->a * (query->step * product) + (query->weight * header->rough + query->terms[header->cell]);
  }
}

// Calls `function` for `count` slots, NF_LANES at a time; the last ones are filled up with the last slot.
#define NF_BY_LANES(function, slots, keys, count)                                  \
  do {                                                                             \
    size_t i = 0;                                                                  \
    for (; i + NF_LANES <= (count); i += NF_LANES) function(codes, query, (slots) + i, (keys) + i); \
    if (i < (count)) {                                                             \
      uint32_t last[NF_LANES];                                                     \
      float values[NF_LANES];                                                      \
      for (size_t r = 0; r < NF_LANES; r++) last[r] = (slots)[i + r < (count) ? i + r : (count) - 1]; \
      function(codes, query, last, values);                                        \
      for (size_t r = 0; i + r < (count); r++) (keys)[i + r] = values[r];          \
    }                                                                              \
  } while (0)

static void NF(code_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                          float *keys) {
  for (size_t j = 0; j < count; j++) nf_prefetch(nf_record(codes, slots[j]), codes->padded);
  NF_BY_LANES(NF(full_keys), slots, keys, count);
}

// What a walk reads of a record.
NF_INLINE void NF(prefetch_rough)(const nf_codes *codes, uint32_t slot) {
  nf_prefetch(nf_record(codes, slot), codes->planes == 1 ? codes->padded : codes->padded / 2);
  __builtin_prefetch(nf_header(codes, slot));
}

static void NF(code_rough_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                                float *keys) {
  for (size_t j = 0; j < count; j++) NF(prefetch_rough)(codes, slots[j]);
  NF_BY_LANES(NF(rough_keys), slots, keys, count);
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
    NF(prefetch_rough)(codes, id);
  }
  NF_BY_LANES(NF(rough_keys), slots, keys, count);
  return count;
}

// The pool of a walk: slots with falling keys.
static size_t NF(pool_offer)(const nf_codes *codes, const uint32_t *slots, const float *keys, size_t count, nf_pool *pool) {
  size_t lowest = pool->size;
  size_t size = pool->size;
  for (size_t i = 0; i < count; i++) {
    const float key = keys[i];
    if (size == pool->room && !(key > pool->keys[size - 1])) continue;
    // How many are as good: by halves to one vector, then all of it at once. Keys behind the end are −∞.
    size_t place = 0, end = size;
    while (end - place > NF_WIDTH) {
      const size_t middle = place + (end - place) / 2;
      if (pool->keys[middle] >= key)
        place = middle + 1;
      else
        end = middle;
    }
    const vi ahead = NF(load)(pool->keys + place) >= NF(splat)(key);
    place += (size_t)-__builtin_reduce_add(ahead);
    size_t last = size < pool->room ? size++ : size - 1;
    for (; last >= place + NF_WIDTH; last -= NF_WIDTH) {
      const vf moved = NF(load)(pool->keys + last - NF_WIDTH);
      const vf others = NF(load)((const float *)pool->slots + last - NF_WIDTH);
      NF(store)(pool->keys + last - NF_WIDTH + 1, moved);
      NF(store)((float *)pool->slots + last - NF_WIDTH + 1, others);
    }
    for (; last > place; last--) {
      pool->keys[last] = pool->keys[last - 1];
      pool->slots[last] = pool->slots[last - 1];
    }
    pool->keys[place] = key;
    pool->slots[place] = slots[i];
    if (place < lowest) lowest = place;
    if (place <= pool->next + 1) nf_prefetch(nf_list(codes, slots[i]), 4 * codes->list_stride);
  }
  pool->size = size;
  return lowest;
}

static size_t NF(keep_above)(uint32_t *slots, float *keys, size_t count, float least) {
  size_t kept = 0, i = 0;
  for (; i + NF_WIDTH <= count; i += NF_WIDTH) {
    if (!__builtin_reduce_or(NF(load)(keys + i) >= NF(splat)(least))) continue;
    for (size_t lane = i; lane < i + NF_WIDTH; lane++) {
      const float key = keys[lane];
      slots[kept] = slots[lane];
      keys[kept] = key;
      kept += key >= least;
    }
  }
  for (; i < count; i++) {
    const float key = keys[i];
    slots[kept] = slots[i];
    keys[kept] = key;
    kept += key >= least;
  }
  return kept;
}

static size_t NF(code_scan)(const nf_codes *codes, const nf_code_query *query, const uint64_t *live, size_t words,
                            uint32_t first, float threshold, nf_code_hit *hits) {
  // How far ahead records are asked for: far where they follow each other, and where few are live, those that are.
  enum { ahead = 12, batch = 512 };
  uint32_t slots[batch + NF_LANES];
  size_t count = 0;
  for (size_t w = 0; w < words;) {
    size_t listed = 0;
    for (; w < words && listed + 64 <= batch; w++)
      for (uint64_t rest = live[w]; rest; rest &= rest - 1)
        slots[listed++] = first + (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(rest);
    if (listed == 0) continue;
    for (size_t r = 0; r < NF_LANES; r++) slots[listed + r] = slots[listed - 1];
    for (size_t i = 0; i < listed; i += NF_LANES) {
      float keys[NF_LANES];
      for (size_t r = 0; r < NF_LANES; r++) {
        // Behind the list, what follows in memory, which a prefetch may name even where there is nothing.
        const uint8_t *next = i + r + ahead < listed ? nf_record(codes, slots[i + r + ahead])
                                                     : nf_record(codes, slots[i + r]) + ahead * codes->padded;
        nf_prefetch(next, codes->padded);
      }
      NF(full_keys)(codes, query, slots + i, keys);
      for (size_t r = 0; r < NF_LANES && i + r < listed; r++) {
        const nf_code_header *header = nf_header(codes, slots[i + r]);
        const float reach = query->reach ? query->reach[header->cell] : query->norm;
        const float width = header->e * reach + header->n * query->error + query->weight * header->s +
                            reach * (reach * query->slack_square + query->slack_linear) + query->slack;
        hits[count] = (nf_code_hit){slots[i + r], 0, keys[r], width};
        // Not "at least": a bound that is not a number rules nothing out.
        count += !(keys[r] + width < threshold);
      }
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
    const int32_t *lower = values + queries->count;
    const float *cells = queries->cells + header.cell * queries->count;
    const float weight = queries->norms ? 0.0f : 1.0f, offset = weight * header.b, slack = weight * header.s;
    const vf a = NF(splat)(header.a), b = NF(splat)(offset), e = NF(splat)(header.e), n = NF(splat)(header.n),
             s = NF(splat)(slack);
    size_t j = 0;
    for (; j + NF_WIDTH <= queries->count; j += NF_WIDTH) {
      vi product, sum, less;
      memcpy(&product, values + j, sizeof product);
      memcpy(&sum, queries->sums + j, sizeof sum);
      if (queries->has_lower) {
        memcpy(&less, lower + j, sizeof less);
        product = (product << 7) + less;
      }
      const vf cell = NF(load)(cells + j), reach = queries->norms ? NF(load)(queries->norms + j) : cell;
      const vf key = a * (NF(load)(queries->steps + j) * __builtin_convertvector(product - (sum << 7), vf)) +
                     (b + (queries->norms ? cell : -cell * cell));
      const vf width =
          e * reach + n * NF(load)(queries->errors + j) +
          (s + NF(load)(queries->slack + j) +
           reach * (reach * NF(load)(queries->slack_square + j) + NF(load)(queries->slack_linear + j)));
      const vi in = ~(vi)(key + width < NF(load)(queries->thresholds + j));
      if (!__builtin_reduce_or(in)) continue;
      for (size_t lane = 0; lane < NF_WIDTH; lane++)
        if (in[lane])
          hits[found++] = (nf_code_hit){first + (uint32_t)row, (uint32_t)(j + lane), key[lane], width[lane]};
    }
    for (; j < queries->count; j++) {
      uint32_t product = (uint32_t)values[j];
      if (queries->has_lower) product = 128u * product + (uint32_t)lower[j];
      product -= 128u * (uint32_t)queries->sums[j];
      const float reach = queries->norms ? queries->norms[j] : cells[j];
      const float key = header.a * (queries->steps[j] * (float)(int32_t)product) +
                        (offset + (queries->norms ? cells[j] : -reach * reach));
      const float width = header.e * reach + header.n * queries->errors[j] +
                          (slack + queries->slack[j] +
                           reach * (reach * queries->slack_square[j] + queries->slack_linear[j]));
      if (!(key + width < queries->thresholds[j]))
        hits[found++] = (nf_code_hit){first + (uint32_t)row, (uint32_t)j, key, width};
    }
  }
  return found;
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

// 1.5·2²³: adding it rounds to an integer in the low bits.
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

// out[c] = q·centroid c, or ‖q − centroid c‖², for `cells` centroids in blocks of NF_BLOCK, dimension by dimension.
NF_INLINE void NF(cells)(const uint16_t *blocks, size_t cells, size_t count, const float *q, int is_dot, float *out) {
  enum { parts = NF_BLOCK / NF_WIDTH, chains = 4 };
  for (size_t first = 0; first < cells; first += NF_BLOCK, blocks += NF_BLOCK * count) {
    vf sums[chains][parts] = {};
    // `count` is a multiple of 4; behind the dimension everything is 0.
    for (size_t i = 0; i < count; i += chains) {
      for (size_t k = 0; k < chains; k++) {
        const vf value = NF(splat)(q[i + k]);
        for (size_t p = 0; p < parts; p++) {
          // The upper half of an f32 is a bf16.
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
    if (!__builtin_reduce_or(value >= NF(splat)(found == most ? terms[out[most - 1]] : least))) continue;
    for (size_t lane = 0; lane < NF_WIDTH && c + lane < cells; lane++) {
      const float term = terms[c + lane];
      if (!(term >= least) || (found == most && !(term > terms[out[most - 1]]))) continue;
      size_t place = found < most ? found++ : most - 1;
      for (; place > 0 && terms[out[place - 1]] < term; place--) out[place] = out[place - 1];
      out[place] = (uint32_t)(c + lane);
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
  // A step that is no normal number has no inverse: the query is as good as zero then.
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
  // Places behind the cells, up to a whole block, are never the best.
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
