// Attention of one sequence, head by head; part of template.h.
//
// Both products are those of products.h. The keys of a head are transposed into panels, and its values copied into
// panels, NF_KEYS at a time. NF_ROWS queries pass over them together; their scores and probabilities stay in the
// first-level cache. Sequences of more than NF_KEYS tokens keep the largest score, the sum and the weighted values of
// each query from one piece to the next (Milakov & Gimelshein 2018, arXiv 1805.02867), so that the memory does not
// grow with the square of the length.

// The keys and values that are copied at a time, a multiple of every NF_PANEL.
#define NF_KEYS 512

// The parts of the scratch memory.
typedef struct NF(attention_room) {
  float *keys, *values;  // [⌈NF_KEYS/NF_PANEL⌉, head_width, NF_PANEL] and [⌈head_width/NF_PANEL⌉, NF_KEYS, NF_PANEL]
  float *scores;         // [NF_ROWS, NF_KEYS]
  float *top, *total;    // of each query, [length]
} NF(attention_room);

NF_INLINE void NF(copy_keys)(const float *key, size_t stride, size_t count, size_t head_width, float *out) {
  for (size_t j = 0; j < count; j += NF_PANEL, out += head_width * NF_PANEL) {
    const size_t size = count - j < NF_PANEL ? count - j : NF_PANEL;
    for (size_t c = 0; c < size; c++)
      for (size_t d = 0; d < head_width; d++) out[d * NF_PANEL + c] = key[(j + c) * stride + d];
    for (size_t c = size; c < NF_PANEL; c++)
      for (size_t d = 0; d < head_width; d++) out[d * NF_PANEL + c] = 0;
  }
}

NF_INLINE void NF(copy_values)(const float *value, size_t stride, size_t count, size_t head_width, float *out) {
  for (size_t c = 0; c < head_width; c += NF_PANEL, out += NF_KEYS * NF_PANEL) {
    const size_t size = head_width - c < NF_PANEL ? head_width - c : NF_PANEL;
    for (size_t j = 0; j < count; j++) {
      memcpy(out + j * NF_PANEL, value + j * stride + c, size * sizeof(float));
      for (size_t rest = size; rest < NF_PANEL; rest++) out[j * NF_PANEL + rest] = 0;
    }
  }
}

// Turns a row of `count` scores into exp((score − top)·scale), where `top` becomes the largest score so far; the padding
// becomes 0. Returns their sum.
NF_INLINE float NF(softmax_row)(float *row, size_t count, size_t padded, float scale, float *top) {
  for (size_t j = count; j < padded; j++) row[j] = -FLT_MAX;
  vf top_v = NF(splat)(*top);
  for (size_t j = 0; j < padded; j += NF_WIDTH) top_v = NF(max)(top_v, NF(load)(row + j));
  *top = NF(largest)(top_v);
  const vf all = NF(splat)(*top), scale_v = NF(splat)(scale);
  vf sum = {};
  for (size_t j = 0; j < padded; j += NF_WIDTH) {
    const vf e = NF(exp)((NF(load)(row + j) - all) * scale_v);
    NF(store)(row + j, e);
    sum += e;
  }
  return NF(sum)(sum);
}

NF_INLINE void NF(block_sums)(const float *x, size_t stride, const float *panel, size_t count, int rows, float *out,
                              size_t out_stride) {
  vf sum[NF_ROWS][2];
  NF_UNROLL for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = (vf){};
  NF(ahead) none = {NULL, 0};
  NF(sum_f32)((const char *)x, 4 * stride, panel, count, rows, &none, sum);
  NF_UNROLL for (int r = 0; r < rows; r++) {
    NF(store)(out + (size_t)r * out_stride, sum[r][0]);
    NF(store)(out + (size_t)r * out_stride + NF_WIDTH, sum[r][1]);
  }
}

static void NF(sums_of_block)(const float *x, size_t stride, const float *panel, size_t count, size_t rows, float *out,
                              size_t out_stride) {
#define NF_CASE(ROWS) \
  case ROWS: NF(block_sums)(x, stride, panel, count, ROWS, out, out_stride); break;
  switch (rows) { NF_EVERY_BLOCK(NF_CASE) }
#undef NF_CASE
}

// What one block of queries sees of one piece of keys.
typedef struct NF(view) {
  size_t piece, keys;  // the first key of the piece, and the number of keys
  size_t start, stop;  // the keys of the piece that some query of the block sees, `start` at the beginning of a panel
} NF(view);

NF_INLINE size_t NF(first_seen)(const nf_attention *a, size_t query) { return query > a->before ? query - a->before : 0; }

NF_INLINE size_t NF(end_of_seen)(const nf_attention *a, size_t query) {
  return a->after < a->length - query - 1 ? query + a->after + 1 : a->length;
}

// Turns the scores of one query into weights, and the keys that it does not see into 0. Its sum and largest score are
// kept. Returns what the values so far are to be multiplied by.
NF_INLINE float NF(weigh_row)(const nf_attention *a, const NF(attention_room) *room, const NF(view) *view,
                              const float *bias, size_t query, float *row) {
  const size_t padded = (view->stop - view->start + NF_PANEL - 1) / NF_PANEL * NF_PANEL, begin = view->piece + view->start;
  const size_t seen = NF(first_seen)(a, query), end = NF(end_of_seen)(a, query), stop = view->piece + view->stop;
  const size_t from = seen > begin ? seen - begin : 0, to = end < begin ? 0 : (end < stop ? end : stop) - begin;
  if (from >= to) {
    memset(row, 0, padded * sizeof(float));
    return 1;
  }
  if (bias) {
    const float *added = bias + a->longest - 1 + begin - query;
    for (size_t j = from; j < to; j++) row[j] += added[j];
  }
  for (size_t j = 0; j < from; j++) row[j] = -FLT_MAX;
  const int is_first = seen >= view->piece;
  const float before = is_first ? -FLT_MAX : room->top[query];
  float top = before;
  float total = NF(softmax_row)(row, to, padded, a->scale, &top);
  const float keep = is_first ? 0 : expf((before - top) * a->scale);
  if (!is_first) total += keep * room->total[query];
  room->top[query] = top;
  room->total[query] = total;
  return keep;
}

// Adds what a piece of keys contributes to `rows` queries from row i on. The first piece that a query sees sets what
// later ones add to, and the last one divides by the sum.
NF_INLINE void NF(attend_block)(const nf_attention *a, const NF(attention_room) *room, const NF(view) *view,
                                const float *bias, const float *query, size_t stride, size_t i, size_t rows, float *out,
                                size_t width) {
  for (size_t j = view->start; j < view->stop; j += NF_PANEL)
    NF(sums_of_block)(query, stride, room->keys + j * a->head_width, a->head_width, rows, room->scores + j - view->start,
                      NF_KEYS);
  float keep[NF_ROWS], share[NF_ROWS];
  for (size_t r = 0; r < rows; r++) {
    keep[r] = NF(weigh_row)(a, room, view, bias, i + r, room->scores + r * NF_KEYS);
    const size_t end = NF(end_of_seen)(a, i + r);
    share[r] = end > view->piece && end <= view->piece + view->keys ? 1 / room->total[i + r] : 1;
  }
  float part[NF_ROWS * NF_PANEL] __attribute__((aligned(64)));
  for (size_t c = 0; c < a->head_width; c += NF_PANEL) {
    NF(sums_of_block)(room->scores, NF_KEYS, room->values + (c / NF_PANEL * NF_KEYS + view->start) * NF_PANEL,
                      view->stop - view->start, rows, part, NF_PANEL);
    const size_t size = a->head_width - c < NF_PANEL ? a->head_width - c : NF_PANEL;
    for (size_t r = 0; r < rows; r++) {
      float *target = out + r * width + c;
      const float *added = part + r * NF_PANEL;
      if (keep[r] == 0) {
        for (size_t d = 0; d < size; d++) target[d] = added[d] * share[r];
      } else {
        for (size_t d = 0; d < size; d++) target[d] = (added[d] + keep[r] * target[d]) * share[r];
      }
    }
  }
}

static void NF(attention)(const nf_attention *a, const float *qkv, size_t first, size_t count, float *scratch,
                          float *out) {
  const size_t width = a->heads * a->head_width, key_width = a->key_heads * a->head_width;
  const size_t stride = width + 2 * key_width, panels = (a->head_width + NF_PANEL - 1) / NF_PANEL;
  NF(attention_room) room = {.keys = scratch};
  room.values = room.keys + NF_KEYS * a->head_width;
  room.scores = room.values + panels * NF_PANEL * NF_KEYS;
  room.top = room.scores + NF_ROWS * NF_KEYS;
  room.total = room.top + a->length;
  const float *copied = NULL;
  for (size_t h = first; h < first + count && h < a->heads; h++) {
    const float *query = qkv + h * a->head_width;
    const float *keys = qkv + width + h / (a->heads / a->key_heads) * a->head_width;
    const float *bias = a->bias ? a->bias + h * (2 * a->longest - 1) : NULL;
    NF(view) view = {0};
    for (; view.piece < a->length; view.piece += NF_KEYS) {
      view.keys = a->length - view.piece < NF_KEYS ? a->length - view.piece : NF_KEYS;
      const float *key = keys + view.piece * stride;
      // Heads that share keys find them copied, where all keys fit.
      if (key != copied) {
        NF(copy_keys)(key, stride, view.keys, a->head_width, room.keys);
        NF(copy_values)(key + key_width, stride, view.keys, a->head_width, room.values);
        copied = key;
      }
      for (size_t i = 0, rows; i < a->length; i += rows) {
        rows = NF(block)(a->length - i);
        const size_t seen = NF(first_seen)(a, i), end = NF(end_of_seen)(a, i + rows - 1);
        if (seen >= view.piece + view.keys || end <= view.piece) continue;
        view.start = seen > view.piece ? (seen - view.piece) / NF_PANEL * NF_PANEL : 0;
        view.stop = end < view.piece + view.keys ? end - view.piece : view.keys;
        NF(attend_block)(a, &room, &view, bias, query + i * stride, stride, i, rows, out + i * width + h * a->head_width,
                         width);
      }
    }
  }
}
