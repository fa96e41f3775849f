// Integer products of records and a query; part of template.h.

// Products of NF_LANES records are computed together, so that their horizontal sums share instructions.

#if defined(NF_VNNI)
// Writes the horizontal sums of four vectors.
NF_INLINE void NF(sums_of_four)(const __m512i *x, int32_t *out) {
  const __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(x[0], x[1]), _mm512_unpackhi_epi32(x[0], x[1]));
  const __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(x[2], x[3]), _mm512_unpackhi_epi32(x[2], x[3]));
  const __m512i c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  const __m256i d = _mm256_add_epi32(_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64(c, 1));
  _mm_storeu_si128((__m128i *)out, _mm_add_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1)));
}

// sum + nibble·q, for the lower nibbles of 64 bytes with q0, and for the upper ones with q1.
NF_INLINE __m512i NF(dot_nibbles)(__m512i sum, __m512i packed, __m512i q0, __m512i q1) {
  const __m512i mask = _mm512_set1_epi8(15);
  sum = _mm512_dpbusd_epi32(sum, _mm512_and_si512(packed, mask), q0);
  return _mm512_dpbusd_epi32(sum, _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask), q1);
}
#elif defined(NF_MADD256)
NF_INLINE int32_t NF(sum_of_lanes)(__m256i v) {
  const __m128i a = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i b = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(b, _mm_shuffle_epi32(b, 0xb1)));
}

// sum + Σ u·q of 32 unsigned and as many signed bytes. The unsigned bytes are taken nibble by nibble, because the sum
// of two products of bytes could leave 16 bits, while that of two products of a nibble and a byte stays below 2¹².
NF_INLINE __m256i NF(dot_bytes)(__m256i sum, __m256i u, __m256i q) {
  const __m256i mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  const __m256i low = _mm256_maddubs_epi16(_mm256_and_si256(u, mask), q);
  const __m256i high = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(u, 4), mask), q);
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(low, ones));
  return _mm256_add_epi32(sum, _mm256_slli_epi32(_mm256_madd_epi16(high, ones), 4));
}

// sum + nibble·q, for the lower nibbles of 32 bytes with q0, and for the upper ones with q1. The sum of four products
// of a nibble and a signed byte stays below 2¹³.
NF_INLINE __m256i NF(dot_nibbles)(__m256i sum, __m256i packed, __m256i q0, __m256i q1) {
  const __m256i mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  const __m256i low = _mm256_maddubs_epi16(_mm256_and_si256(packed, mask), q0);
  const __m256i high = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(packed, 4), mask), q1);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_add_epi16(low, high), ones));
}
#endif

// out[lane] = Σ nibble·upper for the 16 rows of a group. Byte 64·b + 4·lane + j of the group holds the nibbles of
// values 8·b + j and 8·b + 4 + j of row `lane`, so that sums stay in their lanes.
NF_INLINE void NF(group_products)(const uint8_t *codes, const int8_t *upper, size_t blocks, int32_t *out) {
#if defined(NF_VNNI)
  __m512i sum = _mm512_setzero_si512();
  for (size_t b = 0; b < blocks; b++) {
    int32_t u[2];
    memcpy(u, upper + 8 * b, sizeof u);
    sum = NF(dot_nibbles)(sum, _mm512_loadu_si512(codes + 64 * b), _mm512_set1_epi32(u[0]), _mm512_set1_epi32(u[1]));
  }
  _mm512_storeu_si512(out, sum);
#elif defined(NF_MADD256)
  for (size_t half = 0; half < 2; half++) {
    __m256i sum = _mm256_setzero_si256();
    for (size_t b = 0; b < blocks; b++) {
      int32_t u[2];
      memcpy(u, upper + 8 * b, sizeof u);
      sum = NF(dot_nibbles)(sum, _mm256_loadu_si256((const __m256i *)(codes + 64 * b + 32 * half)),
                            _mm256_set1_epi32(u[0]), _mm256_set1_epi32(u[1]));
    }
    _mm256_storeu_si256((__m256i *)(out + 8 * half), sum);
  }
#else
  for (size_t lane = 0; lane < NF_GROUP; lane++) {
    int32_t sum = 0;
    for (size_t b = 0; b < blocks; b++)
      for (size_t j = 0; j < 4; j++) {
        const uint8_t packed = codes[64 * b + 4 * lane + j];
        sum += (packed & 15) * upper[8 * b + j] + (packed >> 4) * upper[8 * b + 4 + j];
      }
    out[lane] = sum;
  }
#endif
}

// out[r] = Σ nibble·(128·upper + lower) over one plane of each record, modulo 2³², or Σ nibble·upper without
// `has_lower`, which callers pass as a constant. `count` is a multiple of 128.
NF_INLINE void NF(nibble_products)(const uint8_t *const *planes, const nf_code_query *query, size_t count, int has_lower,
                                   int32_t *out) {
#if defined(NF_VNNI)
  __m512i upper[NF_LANES], lower[NF_LANES];
  for (int r = 0; r < NF_LANES; r++) upper[r] = lower[r] = _mm512_setzero_si512();
  for (size_t i = 0; i < count; i += 128) {
    const int8_t *u = query->upper + i, *l = query->lower + i;
    for (int r = 0; r < NF_LANES; r++) {
      const __m512i packed = _mm512_loadu_si512(planes[r] + i / 2);
      upper[r] = NF(dot_nibbles)(upper[r], packed, _mm512_loadu_si512(u), _mm512_loadu_si512(u + 64));
      if (has_lower) lower[r] = NF(dot_nibbles)(lower[r], packed, _mm512_loadu_si512(l), _mm512_loadu_si512(l + 64));
    }
  }
  if (has_lower)
    for (int r = 0; r < NF_LANES; r++) upper[r] = _mm512_add_epi32(_mm512_slli_epi32(upper[r], 7), lower[r]);
  NF(sums_of_four)(upper, out);
#else
  for (int r = 0; r < NF_LANES; r++) {
#if defined(NF_MADD256)
    __m256i upper = _mm256_setzero_si256(), lower = _mm256_setzero_si256();
    for (size_t i = 0; i < count; i += 128) {
      for (size_t half = 0; half < 64; half += 32) {
        const __m256i packed = _mm256_loadu_si256((const __m256i *)(planes[r] + i / 2 + half));
        const __m256i *u = (const __m256i *)(query->upper + i + half), *l = (const __m256i *)(query->lower + i + half);
        upper = NF(dot_nibbles)(upper, packed, _mm256_loadu_si256(u), _mm256_loadu_si256(u + 2));
        if (has_lower) lower = NF(dot_nibbles)(lower, packed, _mm256_loadu_si256(l), _mm256_loadu_si256(l + 2));
      }
    }
    out[r] = NF(sum_of_lanes)(has_lower ? _mm256_add_epi32(_mm256_slli_epi32(upper, 7), lower) : upper);
#else
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i += 128) {
      int32_t upper = 0, lower = 0;
      for (size_t j = 0; j < 64; j++) {
        const int32_t first = planes[r][i / 2 + j] & 15, second = planes[r][i / 2 + j] >> 4;
        upper += first * query->upper[i + j] + second * query->upper[i + 64 + j];
        if (has_lower) lower += first * query->lower[i + j] + second * query->lower[i + 64 + j];
      }
      sum += has_lower ? 128u * (uint32_t)upper + (uint32_t)lower : (uint32_t)upper;
    }
    out[r] = (int32_t)sum;
#endif
  }
#endif
}

// out[r] = Σ byte·(128·upper + lower) for each record, modulo 2³². `count` is a multiple of 64.
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
