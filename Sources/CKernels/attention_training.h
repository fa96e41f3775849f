// The backward pass of attention of one sequence; part of template.h.
//
// Nothing of the size length² is kept from the forward pass (Dao et al. 2022, arXiv 2205.14135): with the logarithm l of the
// sum of a query's exponentials, the weights are p = exp(score − l) again. For a piece of keys, NF_ROWS queries at a time:
//
//   d  = p·mask              the weights that multiplied values, so dV += dᵀ·dO
//   dp = mask·(dO·Vᵀ)        the derivatives by the weights
//   ds = p·(dp − δ)          those by the scores, with δ = Σ p·dp = dO·O of the query
//   dQ += ds·K·scale         and dK += dsᵀ·Q·scale
//
// Both tiles, d and ds, have NF_ROWS rows. The derivatives by keys and values are added up over all queries, and over
// the heads that share a key head, in scratch memory.

typedef struct NF(backward_room) {
  NF(attention_panels) keys, values;  // keys as both kinds of panels; of values only the transposed panels
  size_t padded;                      // head_width, rounded up to whole panels
  float *dkeys, *dvalues;             // [NF_KEYS, padded]
  float *queries, *dout;              // [NF_ROWS, padded]
  size_t tile;                        // from one row of a tile to the next
  float *weights, *dscores;           // [NF_ROWS, tile]
  float *part;                        // [NF_ROWS, padded]
  NF(mask) *mask;
  uint64_t mask_row;
} NF(backward_room);

// A head, and where its values are.
typedef struct NF(backward_head) {
  const float *query, *out, *dout, *log_sums, *bias;
  float *dquery, *dbias;
  size_t stride, width;  // from one token to the next in qkv, and in out
} NF(backward_head);

// Copies `rows` rows of `count` values, with zeros behind them.
NF_INLINE void NF(copy_padded)(const float *x, size_t stride, size_t rows, size_t count, size_t padded, float *out) {
  for (size_t r = 0; r < rows; r++)
    for (size_t d = 0; d < padded; d += NF_WIDTH)
      NF(store)(out + r * padded + d, d < count ? NF(load_part)(x + r * stride + d, count - d) : (vf){});
}

// out[j, :] += Σ_i x[i, j]·y[i, :] for `columns` columns j of x, whose rows are `stride` floats apart.
NF_INLINE void NF(add_transposed)(const float *x, size_t stride, const float *y, size_t count, size_t padded, int columns, float *out) {
  for (size_t c = 0; c < padded; c += NF_PANEL) {
    vf sum[NF_ROWS][2];
    NF_UNROLL for (int r = 0; r < columns; r++) {
      sum[r][0] = NF(load)(out + (size_t)r * padded + c);
      sum[r][1] = NF(load)(out + (size_t)r * padded + c + NF_WIDTH);
    }
    for (size_t i = 0; i < count; i++)
      NF(add_products)((const char *)(x + i * stride), 4, NF(load)(y + i * padded + c),
                       NF(load)(y + i * padded + c + NF_WIDTH), columns, sum);
    NF_UNROLL for (int r = 0; r < columns; r++) {
      NF(store)(out + (size_t)r * padded + c, sum[r][0]);
      NF(store)(out + (size_t)r * padded + c + NF_WIDTH, sum[r][1]);
    }
  }
}

static void NF(add_transposed_block)(const float *x, size_t stride, const float *y, size_t count, size_t padded,
                                     size_t columns, float *out) {
#define NF_CASE(COLUMNS) \
  case COLUMNS: NF(add_transposed)(x, stride, y, count, padded, COLUMNS, out); break;
  switch (columns) { NF_EVERY_BLOCK(NF_CASE) }
#undef NF_CASE
}

// Turns the scores of one query into its weights with their mask, and the products of dO and the values into the derivatives
// by the scores. Keys that the query does not see become 0 in both.
NF_INLINE void NF(weigh_row_backward)(const nf_attention *a, const NF(backward_room) *room, const NF(view) *view,
                                      const NF(backward_head) *head, size_t query, float delta, float *row, float *drow) {
  const size_t padded = (view->stop - view->start + NF_PANEL - 1) / NF_PANEL * NF_PANEL, begin = view->piece + view->start;
  const size_t seen = NF(first_seen)(a, query), end = NF(end_of_seen)(a, query), stop = view->piece + view->stop;
  const size_t from = seen > begin ? seen - begin : 0, to = end < begin ? 0 : (end < stop ? end : stop) - begin;
  if (from >= to) {
    memset(row, 0, padded * sizeof(float));
    memset(drow, 0, padded * sizeof(float));
    return;
  }
  if (head->bias) {
    const float *added = head->bias + a->longest - 1 + begin - query;
    for (size_t j = from; j < to; j++) row[j] += added[j];
  }
  NF(hide)(row, from, to, padded);
  const vf scale = NF(splat)(a->scale), log_sum = NF(splat)(head->log_sums[query]), delta_v = NF(splat)(delta);
  const uint64_t index = room->mask_row + query * NF(mask_stride)(a) + begin;
  for (size_t j = 0; j < padded; j += NF_WIDTH) {
    // Rounding may lift a score above the logarithm of the sum.
    const vf x = NF(fma)(NF(load)(row + j), scale, -log_sum), p = NF(exp)(-NF(larger)(-x, (vf){}));
    vf weight = p, dweight = NF(load)(drow + j);
    if (room->mask && j < to) {
      const vf factors = NF(load)(NF(mask_at)(room->mask, index + j));
      weight *= factors;
      dweight *= factors;
    }
    NF(store)(row + j, weight);
    NF(store)(drow + j, p * (dweight - delta_v));
  }
  if (head->dbias) {
    float *to_bias = head->dbias + a->length - 1 + begin - query;
    for (size_t j = from; j < to; j++) to_bias[j] += drow[j];
  }
}

// What `rows` queries from row i on contribute.
NF_INLINE void NF(backward_block)(const nf_attention *a, const NF(backward_room) *room, const NF(view) *view,
                                  const NF(backward_head) *head, size_t i, size_t rows) {
  const size_t padded = room->padded, count = view->stop - view->start;
  NF(copy_padded)(head->query + i * head->stride, head->stride, rows, a->head_width, padded, room->queries);
  NF(copy_padded)(head->dout + i * head->width, head->width, rows, a->head_width, padded, room->dout);
  for (size_t j = view->start; j < view->stop; j += NF_PANEL) {
    NF(sums_of_block)(0, room->queries, 4 * padded, room->keys.keys + j * a->head_width, a->head_width, rows,
                      room->weights + j - view->start, room->tile);
    NF(sums_of_block)(0, room->dout, 4 * padded, room->values.keys + j * a->head_width, a->head_width, rows,
                      room->dscores + j - view->start, room->tile);
  }
  for (size_t r = 0; r < rows; r++) {
    vf delta = {};
    const float *out = head->out + (i + r) * head->width;
    for (size_t d = 0; d < a->head_width; d += NF_WIDTH)
      delta = NF(fma)(NF(load_part)(out + d, a->head_width - d), NF(load)(room->dout + r * padded + d), delta);
    NF(weigh_row_backward)(a, room, view, head, i + r, NF(sum)(delta), room->weights + r * room->tile,
                           room->dscores + r * room->tile);
  }
  for (size_t j = 0, columns; j < count; j += columns) {
    columns = NF(block)(count - j);
    const size_t place = (view->start + j) * padded;
    NF(add_transposed_block)(room->weights + j, room->tile, room->dout, rows, padded, columns, room->dvalues + place);
    NF(add_transposed_block)(room->dscores + j, room->tile, room->queries, rows, padded, columns,
                             room->dkeys + place);
  }
  for (size_t c = 0; c < a->head_width; c += NF_PANEL)
    NF(sums_of_block)(0, room->dscores, 4 * room->tile,
                      room->keys.values + (c / NF_PANEL * NF_KEYS + view->start) * NF_PANEL, count, rows,
                      room->part + c, padded);
  for (size_t r = 0; r < rows; r++) {
    float *dquery = head->dquery + (i + r) * head->stride;
    for (size_t d = 0; d < a->head_width; d++) dquery[d] += room->part[r * padded + d] * a->scale;
  }
}

static void NF(attention_backward)(const nf_attention *a, const float *qkv, const float *out, const float *dout,
                                   size_t first, size_t count, float *scratch, float *dqkv, float *dbias) {
  const size_t width = a->heads * a->head_width, key_width = a->key_heads * a->head_width;
  const size_t stride = width + 2 * key_width, shared = a->heads / a->key_heads;
  NF(mask) mask = {.dropout = a->dropout, .group = UINT64_MAX};
  NF(backward_room) room = {.padded = (a->head_width + NF_PANEL - 1) / NF_PANEL * NF_PANEL};
  // No longer than what they hold, so that tiles of short sequences are small, and never a power of two apart.
  room.tile = ((a->length < NF_KEYS ? a->length : NF_KEYS) + NF_PANEL - 1) / NF_PANEL * NF_PANEL + 16;
  room.keys.head_width = room.values.head_width = a->head_width;
  room.keys.keys = scratch;
  room.values.keys = room.keys.keys + NF_KEYS * a->head_width;
  room.keys.values = room.values.keys + NF_KEYS * a->head_width;
  room.dkeys = room.keys.values + NF_KEYS * room.padded;
  room.dvalues = room.dkeys + NF_KEYS * room.padded;
  room.weights = room.dvalues + NF_KEYS * room.padded;
  room.dscores = room.weights + NF_ROWS * room.tile;
  room.queries = room.dscores + NF_ROWS * room.tile;
  room.dout = room.queries + NF_ROWS * room.padded;
  room.part = room.dout + NF_ROWS * room.padded;
  room.mask = a->dropout ? &mask : NULL;
  for (size_t g = first; g < first + count && g < a->key_heads; g++) {
    for (size_t i = 0; i < a->length; i++)
      memset(dqkv + i * stride + g * shared * a->head_width, 0, shared * a->head_width * sizeof(float));
    NF(view) view = {0};
    for (; view.piece < a->length; view.piece += NF_KEYS) {
      view.keys = a->length - view.piece < NF_KEYS ? a->length - view.piece : NF_KEYS;
      const size_t place = view.piece * stride + width + g * a->head_width;
      NF(copy_keys)(&room.keys, qkv + place, stride, view.keys);
      NF(copy_values)(&room.keys, qkv + place, stride, view.keys);
      NF(copy_keys)(&room.values, qkv + place + key_width, stride, view.keys);
      memset(room.dkeys, 0, view.keys * room.padded * sizeof(float));
      memset(room.dvalues, 0, view.keys * room.padded * sizeof(float));
      for (size_t h = g * shared; h < (g + 1) * shared; h++) {
        const size_t column = h * a->head_width;
        const NF(backward_head) head = {
            .query = qkv + column, .out = out + column, .dout = dout + column, .log_sums = a->log_sums + h * a->length,
            .bias = a->bias ? a->bias + h * (2 * a->longest - 1) : NULL, .dquery = dqkv + column,
            .dbias = dbias ? dbias + h * (2 * a->length - 1) : NULL, .stride = stride, .width = width};
        room.mask_row = h * a->length * NF(mask_stride)(a);
        for (size_t i = 0, rows; i < a->length; i += rows) {
          rows = NF(block)(a->length - i);
          const size_t seen = NF(first_seen)(a, i), end = NF(end_of_seen)(a, i + rows - 1);
          if (seen >= view.piece + view.keys || end <= view.piece) continue;
          view.start = seen > view.piece ? (seen - view.piece) / NF_PANEL * NF_PANEL : 0;
          view.stop = end < view.piece + view.keys ? end - view.piece : view.keys;
          NF(backward_block)(a, &room, &view, &head, i, rows);
        }
      }
      for (size_t j = 0; j < view.keys; j++) {
        float *dkey = dqkv + place + j * stride, *dvalue = dkey + key_width;
        for (size_t d = 0; d < a->head_width; d++) dkey[d] = room.dkeys[j * room.padded + d] * a->scale;
        memcpy(dvalue, room.dvalues + j * room.padded, a->head_width * sizeof(float));
      }
    }
  }
}
