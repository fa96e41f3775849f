// Robust pruning (Subramanya et al. 2019, "DiskANN", algorithm 2); part of template.h.
//
// Each candidate is taken relative to the row whose neighbours are chosen, y = row − origin, and each y is rounded to
// bytes with a step of its own. Whether one candidate covers another depends on ‖yᵢ − yⱼ‖² relative to ‖yᵢ‖². The
// rounding error, a few thousandths of ‖y‖, is therefore small at every scale: in tight clusters, in narrow cones and
// among near-duplicates.

typedef struct NF(pruned) {
  float square, step;
  int32_t sum;
} NF(pruned);

typedef float NF(four) __attribute__((vector_size(4 * NF_LANES)));

// Writes y = factor·row − origin_factor·origin, and round(y / step) to `codes`. Returns the step, ‖y‖² and the sum of
// the codes.
NF_INLINE NF(pruned) NF(prune_row)(const float *row, float factor, const float *origin, float origin_factor,
                                   size_t dimension, size_t padded, float *y, int8_t *codes) {
  // There are two sums, so that their additions can overlap. Floats without their signs are in the order of their bits.
  vf square = {}, square2 = {};
  vi largest = {}, largest2 = {};
  const vi magnitude = (vi){} + 0x7FFFFFFF;
  const vf f = NF(splat)(factor), g = NF(splat)(origin_factor);
  size_t i = 0;
  for (; i + 2 * NF_WIDTH <= dimension; i += 2 * NF_WIDTH) {
    const vf d = f * NF(load)(row + i) - g * NF(load)(origin + i);
    const vf d2 = f * NF(load)(row + i + NF_WIDTH) - g * NF(load)(origin + i + NF_WIDTH);
    square = NF(fma)(d, d, square);
    square2 = NF(fma)(d2, d2, square2);
    largest = __builtin_elementwise_max(largest, (vi)d & magnitude);
    largest2 = __builtin_elementwise_max(largest2, (vi)d2 & magnitude);
    NF(store)(y + i, d);
    NF(store)(y + i + NF_WIDTH, d2);
  }
  if (i + NF_WIDTH <= dimension) {
    const vf d = f * NF(load)(row + i) - g * NF(load)(origin + i);
    square = NF(fma)(d, d, square);
    largest = __builtin_elementwise_max(largest, (vi)d & magnitude);
    NF(store)(y + i, d);
    i += NF_WIDTH;
  }
  square += square2;
  largest = __builtin_elementwise_max(largest, largest2);
  float rest = 0, top = NF(largest)((vf)largest);
  for (; i < dimension; i++) {
    y[i] = factor * row[i] - origin_factor * origin[i];
    rest += y[i] * y[i];
    top = fabsf(y[i]) > top ? fabsf(y[i]) : top;
  }
  NF(pruned) found = {NF(sum)(square) + rest, top / 127.0f, 0};
  const float inverse = top > 1e-30f ? 127.0f / top : 0.0f;
  const vf magic = NF(splat)(NF_ROUND), scale = NF(splat)(inverse);
  vi sum = {};
  for (i = 0; i + NF_WIDTH <= padded; i += NF_WIDTH) {
    const vi whole = (vi)(NF(load)(y + i) * scale + magic) - NF_ROUND_BITS;
    sum += whole;
    const NF(bytes) narrow = __builtin_convertvector(whole, NF(bytes));
    memcpy(codes + i, &narrow, sizeof narrow);
  }
  int32_t lane[NF_WIDTH];
  memcpy(lane, &sum, sizeof sum);
  for (int r = 0; r < NF_WIDTH; r++) found.sum += lane[r];
  return found;
}

// out[r] = Σ (code of row r + 128)·query for NF_LANES rows of `stride` bytes.
NF_INLINE void NF(prune_products)(const uint8_t *rows, size_t stride, const int8_t *query, int32_t *out) {
#if defined(NF_VNNI)
  __m512i sums[NF_LANES];
  for (int r = 0; r < NF_LANES; r++) sums[r] = _mm512_setzero_si512();
  for (size_t i = 0; i < stride; i += 64) {
    const __m512i q = _mm512_load_si512(query + i);
    for (int r = 0; r < NF_LANES; r++) sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_load_si512(rows + r * stride + i), q);
  }
  NF(sums_of_four)(sums, out);
#else
  for (int r = 0; r < NF_LANES; r++) {
    const uint8_t *row = rows + r * stride;
#if defined(NF_MADD256)
    __m256i sum = _mm256_setzero_si256();
    for (size_t i = 0; i < stride; i += 32)
      sum = NF(dot_bytes)(sum, _mm256_loadu_si256((const __m256i *)(row + i)),
                          _mm256_loadu_si256((const __m256i *)(query + i)));
    out[r] = NF(sum_of_lanes)(sum);
#else
    int32_t sum = 0;
    for (size_t i = 0; i < stride; i++) sum += (int32_t)row[i] * query[i];
    out[r] = sum;
#endif
  }
#endif
}

typedef uint64_t NF(ranks) __attribute__((vector_size(8 * NF_RANKS)));

// Sorts the numbers of rows by their keys, which must all be different: the place of a row is the number of smaller
// keys. For about a hundred rows this is faster than a sort with unpredictable branches. `keys` must have room for
// NF_RANKS more.
NF_INLINE void NF(prune_sort)(uint32_t *order, size_t count, uint64_t *keys) {
  for (size_t r = 0; r < NF_RANKS; r++) keys[count + r] = UINT64_MAX;
  for (size_t i = 0; i < count; i += NF_RANKS) {
    NF(ranks) some, smaller = {};
    memcpy(&some, keys + i, sizeof some);
    for (size_t j = 0; j < count; j++) smaller -= (NF(ranks))((NF(ranks)){} + keys[j] < some);
    for (size_t r = 0; r < NF_RANKS && i + r < count; r++) order[smaller[r]] = (uint32_t)(i + r);
  }
}

// Rows that equal the origin cover each other, so that of a thousand copies only one would ever be in a list. NF_TWINS
// of them are therefore kept although they are covered, and different ones for every slot, so that the copies stay
// connected.
#define NF_TWINS 8

// A hash of `a` that depends on `b`, so that every origin orders slots differently.
NF_INLINE uint32_t NF(prune_mix)(uint32_t a, uint32_t b) {
  uint32_t x = (a ^ (b * 0x9E3779B9u)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 15)) * 0xC2B2AE35u;
  return x ^ (x >> 13);
}

// Moves NF_TWINS of the first `twins` numbers to the front: those whose slots have the smallest hashes.
NF_INLINE void NF(prune_twins)(uint32_t *order, size_t twins, const uint32_t *slots, uint32_t origin) {
  for (size_t place = 0; place < NF_TWINS && place < twins; place++) {
    size_t best = place;
    for (size_t i = place + 1; i < twins; i++)
      if (NF(prune_mix)(slots[order[i]], origin) < NF(prune_mix)(slots[order[best]], origin)) best = i;
    const uint32_t moved = order[best];
    order[best] = order[place];
    order[place] = moved;
  }
}

static size_t NF(prune)(const float *const *rows, const float *factors, const uint32_t *slots, size_t count,
                        const float *origin, float origin_factor, uint32_t origin_slot, size_t dimension, float alpha_squared, size_t degree,
                        void *scratch, uint32_t *order) {
  const size_t padded = (dimension + 63) / 64 * 64;
  const size_t room = (degree + NF_LANES) / NF_LANES * NF_LANES;
  uint8_t *chosen = scratch;
  int8_t *codes = (int8_t *)(chosen + room * padded);
  float *y = (float *)(codes + count * padded);
  uint64_t *keys = (uint64_t *)(y + padded);
  NF(pruned) *found = (NF(pruned) *)(keys + count + NF_RANKS);
  float *squares = (float *)(found + count), *steps = squares + room;
  for (size_t i = 0; i < room; i++) squares[i] = INFINITY, steps[i] = 0;
  for (size_t i = dimension; i < padded; i++) y[i] = 0;
  for (size_t i = 0; i < count; i++) {
    if (i + 2 < count) nf_prefetch(rows[i + 2], 4 * dimension);
    found[i] = NF(prune_row)(rows[i], factors[i], origin, origin_factor, dimension, padded, y, codes + i * padded);
    // Squares are in the order of their bits. Of equal squares, the smaller slot comes first.
    uint32_t bits;
    memcpy(&bits, &found[i].square, sizeof bits);
    keys[i] = (uint64_t)bits << 32 | slots[i];
    order[i] = (uint32_t)i;
  }
  NF(prune_sort)(order, count, keys);
  float length = 0;
  for (size_t i = 0; i < dimension; i++) length += origin[i] * origin[i];
  // The squared distance between copies that rounding rows and factors may leave.
  const float nothing = 1e-13f * origin_factor * origin_factor * length;
  size_t twins = 0;
  while (twins < count && found[order[twins]].square <= nothing) twins++;
  NF(prune_twins)(order, twins, slots, origin_slot);
  memset(chosen, 128, room * padded);
  size_t size = 0;
  for (size_t place = 0; place < count && size < degree; place++) {
    const uint32_t i = order[place];
    const NF(pruned) row = found[i];
    int covered = place >= NF_TWINS && place < twins;
    for (size_t j = 0; j < size && !covered && place >= twins; j += NF_LANES) {
      int32_t products[NF_LANES];
      NF(prune_products)(chosen + j * padded, padded, codes + i * padded, products);
      NF(four) product, square, step;
      memcpy(&square, squares + j, sizeof square);
      memcpy(&step, steps + j, sizeof step);
      for (size_t r = 0; r < NF_LANES; r++) product[r] = (float)(products[r] - 128 * row.sum);
      product *= row.step * step;
      // Places after the last chosen row have the square +∞, which covers nothing.
      covered = __builtin_reduce_or(alpha_squared * (row.square + square - 2.0f * product) <= row.square);
    }
    if (covered) continue;
    uint8_t *target = chosen + size * padded;
    for (size_t b = 0; b < padded; b++) target[b] = (uint8_t)codes[i * padded + b] ^ 0x80;
    squares[size] = row.square;
    steps[size] = row.step;
    // This overwrites only numbers that have been read, because size ≤ place.
    order[size++] = i;
  }
  return size;
}
