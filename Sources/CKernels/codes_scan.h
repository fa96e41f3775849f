// Exact scans over codes, which find the rows that the error bounds cannot rule out; part of template.h.

// The part of an error bound that does not depend on the row: the rounding error of the query relative to a cell.
NF_INLINE float NF(cell_slack)(float reach, float square, float linear, float constant) {
  return constant + reach * (reach * square + linear);
}

// Finds those of `count` slots whose key may reach `threshold`, from all bits of their codes.
static size_t NF(code_bound)(const nf_codes *codes, const nf_code_query *query, const uint32_t *slots, size_t count,
                             float threshold, nf_code_hit *hits) {
  enum { ahead = 12 };
  size_t found = 0;
  for (size_t i = 0; i < count; i += NF_LANES) {
    uint32_t four[NF_LANES];
    float keys[NF_LANES];
    for (size_t r = 0; r < NF_LANES; r++) {
      four[r] = slots[i + r < count ? i + r : count - 1];
      if (i + r + ahead < count) {
        nf_prefetch(nf_record(codes, slots[i + r + ahead]), codes->padded);
        __builtin_prefetch(nf_header(codes, slots[i + r + ahead]));
        __builtin_prefetch(nf_bounds(codes, slots[i + r + ahead]));
      }
    }
    NF(full_keys)(codes, query, four, keys);
    for (size_t r = 0; r < NF_LANES && i + r < count; r++) {
      const nf_code_header *header = nf_header(codes, four[r]);
      const nf_code_bounds *bounds = nf_bounds(codes, four[r]);
      const float reach = query->reach ? query->reach[header->cell] : query->norm;
      const float width = bounds->e * reach + bounds->n * query->error + query->weight * nf_slack(header) +
                          NF(cell_slack)(reach, query->slack_square, query->slack_linear, query->slack);
      hits[found] = (nf_code_hit){four[r], 0, keys[r], width};
      // The comparison is negated, so that a bound that is NaN rules nothing out.
      found += !(keys[r] + width < threshold);
    }
  }
  return found;
}

// An upper bound of the keys of the rows of a cell with at most this `n`. By the triangle inequality a row is no nearer
// to the query than the distance of the centroid from the query less that of the row from the centroid.
NF_INLINE vf NF(most_of_cell)(const nf_code_query *query, vf term, vf reach, vf n, vf slack) {
  const vf rest = slack * NF(splat)(query->weight) +
                  reach * (reach * NF(splat)(query->slack_square) + NF(splat)(query->slack_linear)) +
                  NF(splat)(query->slack);
  if (!query->reach) return term + NF(splat)(query->norm) * n + rest;
  const vf near = NF(max)(reach - NF(splat)(0.5f) * n, NF(splat)(0.0f));
  // The term with 1e-6 exceeds the rounding error of this expression.
  return (NF(splat)(1.01f) * rest + NF(splat)(1e-6f) * reach * reach) - near * near;
}

static size_t NF(lists_within)(const nf_code_query *query, const nf_lists *lists, float threshold, uint32_t *out) {
  size_t found = 0;
  for (size_t c = 0; c < lists->cells; c += NF_WIDTH) {
    const vf term = NF(load)(query->terms + c);
    const vf reach = query->reach ? NF(load)(query->reach + c) : NF(splat)(query->norm);
    const vf most =
        NF(most_of_cell)(query, term, reach, NF(load)(lists->widest + c), NF(load)(lists->slack + c));
    const vi in = ~(vi)(most < NF(splat)(threshold));
    for (uint32_t bits = NF(bits)(in); bits != 0; bits &= bits - 1) {
      const size_t cell = c + (size_t)__builtin_ctz(bits);
      if (cell < lists->cells) out[found++] = (uint32_t)cell;
    }
  }
  return found;
}

static size_t NF(list_scan)(const nf_codes *codes, const nf_code_query *query, const nf_lists *lists, uint32_t cell,
                            size_t first, size_t groups, const uint64_t *live, size_t words, float threshold,
                            uint32_t *out, size_t *scanned) {
  const float reach = query->reach ? query->reach[cell] : query->norm, term = query->terms[cell];
  const float rest = query->weight * lists->slack[cell] + NF(cell_slack)(reach, query->slack_square, query->slack_linear, query->slack);
  const float step = 128.0f * query->step;
  // A nibble h stands for the value 16·(h − 8) + 8.
  const uint32_t middle = 120u * (uint32_t)query->upper_sum;
  size_t found = 0, group = first;
  for (; group < first + groups; group++) {
    const float n = lists->n[group];
    const vf most = NF(most_of_cell)(query, NF(splat)(term), NF(splat)(reach), NF(splat)(n),
                                     NF(splat)(lists->slack[cell]));
    // Rows come in order of decreasing n, so no later row reaches the threshold either.
    if (most[0] < threshold) break;
    const uint32_t *slots = lists->slots + group * NF_GROUP;
    float a[NF_GROUP], rough[NF_GROUP];
    const float *steps = a, *offsets = rough;
    int32_t products[NF_GROUP];
    if (lists->codes) {
      NF(group_products)(lists->codes + group * lists->blocks * 64, query->upper, lists->blocks, products);
      steps = lists->a + group * NF_GROUP;
      offsets = lists->rough + group * NF_GROUP;
    } else {
      for (size_t r = 0; r < NF_GROUP; r += NF_LANES) {
        const uint8_t *planes[NF_LANES];
        for (size_t i = r; i < r + NF_LANES; i++) {
          // Empty places at the end of a cell repeat the last row.
          const nf_code_header *header = nf_header(codes, slots[i] & ~NF_NO_ROW);
          planes[i - r] = nf_record(codes, slots[i] & ~NF_NO_ROW);
          a[i] = header->a;
          rough[i] = header->rough;
          if (group + 1 < first + groups) {
            const uint32_t next = slots[i + NF_GROUP] & ~NF_NO_ROW;
            nf_prefetch(nf_record(codes, next), codes->padded / 2);
            __builtin_prefetch(nf_header(codes, next));
          }
        }
        NF(nibble_products)(planes, query, codes->padded, 0, products + r);
      }
    }
    const float base = n * query->upper_error + rest;
    for (size_t part = 0; part < NF_GROUP; part += NF_WIDTH) {
      vi product;
      memcpy(&product, products + part, sizeof product);
      const vf value = __builtin_convertvector((product << 4) - (int32_t)middle, vf);
      const vf key = NF(load)(steps + part) * (NF(splat)(step) * value) +
                     (NF(splat)(query->weight) * NF(load)(offsets + part) + NF(splat)(term));
      const vf width = NF(fma)(NF(load)(lists->e + group * NF_GROUP + part), NF(splat)(reach), NF(splat)(base));
      const vi in = ~(vi)(key + width < NF(splat)(threshold));
      for (uint32_t bits = NF(bits)(in); bits != 0; bits &= bits - 1) {
        const uint32_t slot = slots[part + (size_t)__builtin_ctz(bits)];
        if (slot / 64 < words && live[slot / 64] >> (slot % 64) & 1) out[found++] = slot;
      }
    }
  }
  *scanned = group - first;
  return found;
}

// Returns Σ (lower − 8)² over the lower nibbles of a record. Unless `codes` is NULL, the upper nibbles are written to
// their lane of a group.
static float NF(list_fill)(const nf_codes *nf, uint32_t slot, size_t dimension, size_t lane, uint8_t *codes) {
  const uint8_t *record = nf_record(nf, slot);
  int32_t squares = 0;
  for (size_t i = 0; i < dimension; i++) {
    uint8_t high, low;
    if (nf->planes == 1) {
      high = record[i] >> 4;
      low = record[i] & 15;
    } else {
      const uint8_t *byte = record + i / 128 * 64 + i % 64;
      const int shift = i % 128 >= 64 ? 4 : 0;
      high = *byte >> shift & 15;
      low = byte[nf->padded / 2] >> shift & 15;
    }
    squares += (low - 8) * (low - 8);
    if (codes) codes[i / 8 * 64 + 4 * lane + i % 4] |= (uint8_t)(high << (i % 8 >= 4 ? 4 : 0));
  }
  return (float)squares;
}

// The number of rows whose products are compared with the queries' thresholds at once.
#define NF_SELECTED 4

// Compares one row with some queries: those numbered from `first` on whose lanes in `in` are −1. Appends a hit for each
// query whose neighbour the row may be, and returns how many there are.
NF_INLINE size_t NF(select_of_row)(const nf_codes *codes, uint32_t slot, const int32_t *values, size_t first, vi in,
                                   const float *cells, const nf_tile_queries *queries, nf_code_hit *hits) {
  const nf_code_header *header = nf_header(codes, slot);
  const nf_code_bounds *bounds = nf_bounds(codes, slot);
  const float *reaches = queries->norms ? queries->norms : cells;
  const float weight = queries->norms ? 0.0f : 1.0f;
  size_t found = 0;
  for (uint32_t bits = NF(bits)(in); bits != 0; bits &= bits - 1) {
    const size_t query = first + (size_t)__builtin_ctz(bits);
    uint32_t product = (uint32_t)values[query];
    if (queries->has_lower) product = 128u * product + (uint32_t)values[queries->count + query];
    product -= (uint32_t)queries->sums[query];
    const float reach = reaches[query];
    const float key = header->a * (queries->steps[query] * (float)(int32_t)product) +
                      (weight * header->b + (queries->norms ? cells[query] : -reach * reach));
    const float width =
        bounds->e * reach + bounds->n * queries->errors[query] + weight * nf_slack(header) +
        NF(cell_slack)(reach, queries->slack_square[query], queries->slack_linear[query], queries->slack[query]);
    if (!(key + width < queries->thresholds[query]))
      hits[found++] = (nf_code_hit){slot, (uint32_t)query, key, width};
  }
  return found;
}

static size_t NF(code_select)(const nf_codes *codes, const uint32_t *slots, size_t rows, uint32_t cell,
                              const int32_t *products, size_t stride, const nf_tile_queries *queries, float *least,
                              nf_code_hit *hits) {
  const size_t count = queries->count, whole = count - count % NF_WIDTH;
  const float *cells = queries->cells + cell * count;
  const float weight = queries->norms ? 0.0f : 1.0f;
  float e = 0.0f, n = 0.0f;
  for (size_t row = 0; row < rows; row++) {
    e = fmaxf(e, nf_bounds(codes, slots[row])->e);
    n = fmaxf(n, nf_bounds(codes, slots[row])->n);
  }
  // The least value that the row's own part of a key must have to reach the threshold, even with the widest bounds of
  // all rows. The term with 1e-6 exceeds the rounding error of moving the other parts to this side.
  for (size_t j = 0; j < count; j++) {
    const float reach = queries->norms ? queries->norms[j] : cells[j];
    const float term = queries->norms ? cells[j] : -reach * reach;
    const float rest = e * reach + n * queries->errors[j] +
                       NF(cell_slack)(reach, queries->slack_square[j], queries->slack_linear[j], queries->slack[j]);
    const float threshold = queries->thresholds[j];
    least[j] = threshold - term - rest - 1e-6f * (fabsf(threshold) + fabsf(term) + rest);
  }
  size_t found = 0;
  for (size_t row = 0; row < rows; row += NF_SELECTED) {
    const int32_t *values[NF_SELECTED];
    vf a[NF_SELECTED], b[NF_SELECTED];
    for (size_t r = 0; r < NF_SELECTED; r++) {
      const size_t at = row + r < rows ? row + r : rows - 1;
      const nf_code_header *header = nf_header(codes, slots[at]);
      values[r] = products + at * stride;
      a[r] = NF(splat)(header->a);
      b[r] = NF(splat)(weight * header->b + weight * nf_slack(header));
    }
    for (size_t j = 0; j < count; j += NF_WIDTH) {
      vi in[NF_SELECTED], any = {};
      if (j < whole) {
        vi sums;
        memcpy(&sums, queries->sums + j, sizeof sums);
        const vf steps = NF(load)(queries->steps + j), needed = NF(load)(least + j);
        for (size_t r = 0; r < NF_SELECTED; r++) {
          vi product, less;
          memcpy(&product, values[r] + j, sizeof product);
          if (queries->has_lower) {
            memcpy(&less, values[r] + count + j, sizeof less);
            product = (product << 7) + less;
          }
          in[r] = ~(vi)(NF(fma)(a[r], steps * __builtin_convertvector(product - sums, vf), b[r]) < needed);
          any |= in[r];
        }
        if (!__builtin_reduce_or(any)) continue;
      } else {
        for (size_t r = 0; r < NF_SELECTED; r++) {
          in[r] = (vi){};
          for (size_t lane = 0; j + lane < count; lane++) in[r][lane] = -1;
        }
      }
      for (size_t r = 0; r < NF_SELECTED && row + r < rows; r++)
        found += NF(select_of_row)(codes, slots[row + r], values[r], j, in[r], cells, queries, hits + found);
    }
  }
  return found;
}

// The number of bits that are set.
static size_t NF(count_bits)(const uint64_t *words, size_t count) {
  size_t bits = 0;
  for (size_t i = 0; i < count; i++) bits += (size_t)__builtin_popcountll(words[i]);
  return bits;
}
