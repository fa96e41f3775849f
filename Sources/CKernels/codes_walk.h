// Kernels for walks over the graph; part of template.h.

// The keys of NF_LANES records, from all bits of their codes.
NF_INLINE void NF(full_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, float *keys) {
  const uint8_t *records[NF_LANES];
  int32_t high[NF_LANES], low[NF_LANES];
  for (int r = 0; r < NF_LANES; r++) records[r] = nf_record(codes, slots[r]);
  if (codes->planes == 1) {
    NF(byte_products)(records, query, codes->padded, high);
  } else {
    NF(nibble_products)(records, query, codes->padded, 1, high);
    for (int r = 0; r < NF_LANES; r++) records[r] += codes->padded / 2;
    NF(nibble_products)(records, query, codes->padded, 1, low);
  }
  for (int r = 0; r < NF_LANES; r++) {
    const nf_code_header *header = nf_header(codes, slots[r]);
    // The differences fit in 32 bits, so computing modulo 2³² is exact.
    const float product =
        codes->planes == 1
            ? (float)(int32_t)((uint32_t)high[r] - 128u * (uint32_t)query->sum)
            : 16.0f * (float)(int32_t)((uint32_t)high[r] - 8u * (uint32_t)query->sum) + (float)low[r];
    keys[r] = header->a * (query->step * product) + (query->weight * header->b + query->terms[header->cell]);
  }
}

// The keys from the upper plane alone, where there are two. A nibble stands for the middle of the values that it may
// belong to.
NF_INLINE void NF(rough_keys)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, float *keys) {
  if (codes->planes == 1) return NF(full_keys)(codes, query, slots, keys);
  const uint8_t *records[NF_LANES];
  int32_t high[NF_LANES];
  for (int r = 0; r < NF_LANES; r++) records[r] = nf_record(codes, slots[r]);
  NF(nibble_products)(records, query, codes->padded, 1, high);
  const float middle = 8.0f * (float)query->sum;
  for (int r = 0; r < NF_LANES; r++) {
    const nf_code_header *header = nf_header(codes, slots[r]);
    const float product = 16.0f * (float)(int32_t)((uint32_t)high[r] - 8u * (uint32_t)query->sum) + middle;
    keys[r] = header->a * (query->step * product) + (query->weight * header->rough + query->terms[header->cell]);
  }
}

// Calls `function` for `count` slots, NF_LANES at a time; the last call is filled up with the last slot.
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

// Prefetches the part of a record that a walk reads.
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
    slots[count] = id;
    NF(prefetch_rough)(codes, id);
    count += !(*word & bit);
    *word |= bit;
  }
  NF_BY_LANES(NF(rough_keys), slots, keys, count);
  return count;
}

#if NF_WIDTH == 16
// pool_offer for a pool that fits in one vector, without branches that depend on the place of a candidate.
NF_INLINE size_t NF(offer_few)(const nf_codes *codes, const uint32_t *slots, const float *keys, size_t count,
                               nf_pool *pool) {
  const __mmask16 room = (__mmask16)((1u << pool->room) - 1);
  const __m512 old = _mm512_loadu_ps(pool->keys), top = _mm512_set1_ps(INFINITY);
  const __m512i old_ids = _mm512_loadu_si512(pool->slots);
  const float worst = pool->size == pool->room ? pool->keys[pool->room - 1] : -INFINITY;
  float nearest = pool->keys[pool->next < pool->room ? pool->next : pool->room - 1];
  __m512 best = old;
  __m512i ids = old_ids;
  size_t size = pool->size;
  for (size_t first = 0; first < count; first += 16) {
    const __mmask16 given = (__mmask16)(count - first < 16 ? (1u << (count - first)) - 1 : 0xFFFFu);
    const __m512 some = _mm512_maskz_loadu_ps(given, keys + first);
    uint32_t good = _mm512_mask_cmp_ps_mask(given, some, _mm512_set1_ps(worst), _CMP_GT_OQ);
    size += (size_t)__builtin_popcount(good);
    for (; good != 0; good &= good - 1) {
      const size_t i = first + (size_t)__builtin_ctz(good);
      if (keys[i] > nearest) {
        nearest = keys[i];
        nf_prefetch(nf_list(codes, slots[i]), 4 * codes->list_stride);
      }
      const __m512 key = _mm512_set1_ps(keys[i]);
      // The key to the left of each place. To the left of the first place is +∞, which no key exceeds.
      const __m512 left = _mm512_castsi512_ps(
          _mm512_alignr_epi32(_mm512_castps_si512(best), _mm512_castps_si512(top), 15));
      const __mmask16 behind = _mm512_cmp_ps_mask(best, key, _CMP_LT_OQ);
      const __mmask16 here = _mm512_mask_cmp_ps_mask(behind, left, key, _CMP_GE_OQ);
      ids = _mm512_mask_alignr_epi32(ids, behind, ids, ids, 15);
      ids = _mm512_mask_mov_epi32(ids, here, _mm512_set1_epi32((int32_t)slots[i]));
      best = _mm512_max_ps(best, _mm512_min_ps(left, key));
    }
  }
  pool->size = size < pool->room ? size : pool->room;
  _mm512_mask_storeu_ps(pool->keys, room, best);
  _mm512_mask_storeu_epi32(pool->slots, room, ids);
  const uint32_t changed = room & (_mm512_cmp_ps_mask(best, old, _CMP_NEQ_UQ) | _mm512_cmpneq_epi32_mask(ids, old_ids));
  return changed ? (size_t)__builtin_ctz(changed) : pool->size;
}
#endif

// The slots of a pool are in order of decreasing keys. Slots whose key is −∞ or NaN are not inserted.
static size_t NF(pool_offer)(const nf_codes *codes, const uint32_t *slots, const float *keys, size_t count, nf_pool *pool) {
#if NF_WIDTH == 16
  if (pool->room <= 16) return NF(offer_few)(codes, slots, keys, count, pool);
#endif
  size_t lowest = pool->size;
  size_t size = pool->size;
  for (size_t i = 0; i < count; i++) {
    const float key = keys[i];
    if (!(key > (size == pool->room ? pool->keys[size - 1] : -INFINITY))) continue;
    // Finds the place: the number of keys that are at least as good. Bisection narrows the search to one vector, which
    // is then compared at once. Keys after the end are −∞.
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
