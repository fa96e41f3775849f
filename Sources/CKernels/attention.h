// Attention of one sequence, head by head; part of template.h.
//
// The keys and values of a head are copied into panels (attention_panels.h), NF_KEYS at a time. NF_ROWS queries pass
// over them together; their scores and weights stay in the first-level cache. Sequences of more than NF_KEYS tokens
// keep the largest score, the sum and the weighted values of each query from one piece to the next (Milakov &
// Gimelshein 2018, arXiv 1805.02867), so that the memory does not grow with the square of the length.

// The parts of the scratch memory.
typedef struct NF(attention_room) {
  NF(attention_panels) panels;
  float *queries;      // [NF_ROWS, head_width], where they are rounded
  float *scores;       // [NF_ROWS, NF_KEYS]
  float *top, *total;  // of each query, [length]
  NF(mask) *mask;      // of the weights, NULL for none
  uint64_t mask_row;   // the index of the head's first weight in it
} NF(attention_room);

// From one query's weights to the next one's in the mask.
NF_INLINE uint64_t NF(mask_stride)(const nf_attention *a) { return ((uint64_t)a->length + 15) / 16 * 16; }

// Multiplies weights by their factors; `index` is that of the first in the mask, a multiple of NF_WIDTH.
NF_INLINE void NF(drop_weights)(NF(mask) *mask, uint64_t index, size_t count, float *row) {
  for (size_t j = 0; j < count; j += NF_WIDTH)
    NF(store)(row + j, NF(load)(row + j) * NF(load)(NF(mask_at)(mask, index + j)));
}

// The scores before `from` and from `to` on become so small that their weights are 0. Whole vectors are stored, because a
// vector that was stored in parts could not be loaded until the stores had ended.
NF_INLINE void NF(hide)(float *row, size_t from, size_t to, size_t padded) {
  vi lane;
  for (int i = 0; i < NF_WIDTH; i++) lane[i] = i;
  for (size_t j = 0; j < padded; j += NF_WIDTH) {
    if (j >= from && j + NF_WIDTH <= to) continue;
    const vi place = lane + (int32_t)j, is_seen = (place >= (int32_t)from) & (place < (int32_t)to);
    const vi least = (vi)NF(splat)(-FLT_MAX);
    NF(store)(row + j, (vf)(((vi)NF(load)(row + j) & is_seen) | (least & ~is_seen)));
  }
}

#ifdef NF_DOT_BF16
// 2ˣ with an error of at most 1.1e-4 of it, in half the time of NF(exp), for weights that are rounded to bf16: x = n + f with |f| ≤ 1/2,
// and a polynomial in f that is fitted to have the smallest largest error and to be 1 at 0. The result is 0 for x ≤ −126.
NF_INLINE vf NF(exp2_rounded)(vf x) {
  const __mmask16 keep = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-126.0f), _CMP_GT_OQ);
  const vf n = (vf)_mm512_maskz_roundscale_ps(keep, (__m512)x, _MM_FROUND_TO_NEAREST_INT);
  const vf f = (vf)_mm512_maskz_sub_ps(keep, (__m512)x, (__m512)n);
  vf p = NF(splat)(0.05500836670398712f);
  p = NF(fma)(p, f, NF(splat)(0.24220985174179077f));
  p = NF(fma)(p, f, NF(splat)(0.6932828426361084f));
  p = NF(fma)(p, f, NF(splat)(1.0f));
  return (vf)_mm512_maskz_scalef_ps(keep, (__m512)p, (__m512)n);
}
#endif

// Turns a row of scores into exp((score − top)·scale), where `top` becomes the largest score so far. Returns their sum.
// Where products are of pairs, the results are in bf16.
NF_INLINE float NF(softmax_row)(int is_paired, float *row, size_t padded, float scale, float *top) {
  vf top_v = NF(splat)(*top);
  for (size_t j = 0; j < padded; j += NF_WIDTH) top_v = NF(larger)(NF(load)(row + j), top_v);
  *top = NF(largest)(top_v);
  const vf all = NF(splat)(*top), scale_v = NF(splat)(scale);
  vf sum = {};
#ifdef NF_DOT_BF16
  if (is_paired) {
    // In powers of two.
    const vf factor = scale_v * NF(splat)(1.44269504088896341f), offset = -all * factor;
    for (size_t j = 0; j < padded; j += NF_PANEL) {
      const vf low = NF(exp2_rounded)(NF(fma)(NF(load)(row + j), factor, offset));
      const vf high = NF(exp2_rounded)(NF(fma)(NF(load)(row + j + NF_WIDTH), factor, offset));
      NF(store)(row + j / 2, (vf)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
      sum += low + high;
    }
    return NF(sum)(sum);
  }
#endif
  (void)is_paired;
  for (size_t j = 0; j < padded; j += NF_WIDTH) {
    const vf e = NF(exp)((NF(load)(row + j) - all) * scale_v);
    NF(store)(row + j, e);
    sum += e;
  }
  return NF(sum)(sum);
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
  NF(hide)(row, from, to, padded);
  const int is_first = seen >= view->piece;
  const float before = is_first ? -FLT_MAX : room->top[query];
  float top = before;
  float total = NF(softmax_row)(room->panels.is_paired, row, padded, a->scale, &top);
  const float keep = is_first ? 0 : expf((before - top) * a->scale);
  if (!is_first) total += keep * room->total[query];
  room->top[query] = top;
  room->total[query] = total;
  // Weights are dropped after the softmax, so the sum is that of all.
  if (room->mask)
    NF(drop_weights)(room->mask, room->mask_row + query * NF(mask_stride)(a) + begin, to, row);
  return keep;
}

// out = (part + keep·out)·share, for `size` values of one query. What has not been written yet is kept with 0.
NF_INLINE void NF(add_part)(const float *part, size_t size, float keep, float share, float *out) {
  size_t d = 0;
  for (; d + NF_WIDTH <= size; d += NF_WIDTH) {
    const vf added = NF(load)(part + d);
    NF(store)(out + d, (keep == 0 ? added : NF(fma)(NF(splat)(keep), NF(load)(out + d), added)) * share);
  }
  for (; d < size; d++) out[d] = (keep == 0 ? part[d] : part[d] + keep * out[d]) * share;
}

// Adds what a piece of keys contributes to `rows` queries from row i on. The first piece that a query sees sets what
// later ones add to, and the last one divides by the sum.
NF_INLINE void NF(attend_block)(const nf_attention *a, const NF(attention_room) *room, const NF(view) *view,
                                const float *bias, const float *query, size_t stride, size_t i, size_t rows, float *out,
                                size_t width, float *log_sums) {
  const int is_paired = room->panels.is_paired;
  const size_t together = is_paired ? 2 : 1, key_rows = (a->head_width + together - 1) / together;
  const void *left = query;
  size_t left_stride = 4 * stride;
#ifdef NF_DOT_BF16
  if (is_paired) {
    left_stride = 2 * ((a->head_width + NF_PANEL - 1) / NF_PANEL * NF_PANEL);
    for (size_t r = 0; r < rows; r++) {
      float *to = room->queries + r * left_stride / 4;
      for (size_t d = 0; d < a->head_width; d += NF_PANEL)
        NF(store)(to + d / 2, NF(load_pairs)(query + r * stride + d, a->head_width - d));
    }
    left = room->queries;
  }
#endif
  for (size_t j = view->start; j < view->stop; j += NF_PANEL)
    NF(sums_of_block)(is_paired, left, left_stride, room->panels.keys + j * key_rows, a->head_width, rows,
                      room->scores + j - view->start, NF_KEYS);
  float keep[NF_ROWS], share[NF_ROWS];
  for (size_t r = 0; r < rows; r++) {
    keep[r] = NF(weigh_row)(a, room, view, bias, i + r, room->scores + r * NF_KEYS);
    const size_t end = NF(end_of_seen)(a, i + r);
    const int is_last = end > view->piece && end <= view->piece + view->keys;
    share[r] = is_last ? 1 / room->total[i + r] : 1;
    if (is_last && log_sums) log_sums[i + r] = room->top[i + r] * a->scale + logf(room->total[i + r]);
  }
  float part[NF_ROWS * NF_PANEL] __attribute__((aligned(64)));
  for (size_t c = 0; c < a->head_width; c += NF_PANEL) {
    NF(sums_of_block)(is_paired, room->scores, 4 * NF_KEYS,
                      room->panels.values + (c / NF_PANEL * NF_KEYS + view->start) / together * NF_PANEL,
                      view->stop - view->start, rows, part, NF_PANEL);
    const size_t size = a->head_width - c < NF_PANEL ? a->head_width - c : NF_PANEL;
    for (size_t r = 0; r < rows; r++) NF(add_part)(part + r * NF_PANEL, size, keep[r], share[r], out + r * width + c);
  }
}

static void NF(attention)(const nf_attention *a, const float *qkv, size_t first, size_t count, float *scratch,
                          float *out) {
  const size_t width = a->heads * a->head_width, key_width = a->key_heads * a->head_width;
  const size_t stride = width + 2 * key_width, panels = (a->head_width + NF_PANEL - 1) / NF_PANEL;
  NF(attention_room) room = {.panels = {.head_width = a->head_width, .keys = scratch}};
#ifdef NF_DOT_BF16
  room.panels.is_paired = a->precision != NF_F32;
#endif
  room.panels.values = room.panels.keys + NF_KEYS * a->head_width;
  room.queries = room.panels.values + panels * NF_PANEL * NF_KEYS;
  room.scores = room.queries + NF_ROWS * panels * NF_PANEL;
  room.top = room.scores + NF_ROWS * NF_KEYS;
  room.total = room.top + a->length;
  NF(mask) mask = {.dropout = a->dropout, .group = UINT64_MAX};
  room.mask = a->dropout && !room.panels.is_paired ? &mask : NULL;
  const float *copied = NULL;
  for (size_t h = first; h < first + count && h < a->heads; h++) {
    const float *query = qkv + h * a->head_width;
    const float *keys = qkv + width + h / (a->heads / a->key_heads) * a->head_width;
    const float *bias = a->bias ? a->bias + h * (2 * a->longest - 1) : NULL;
    float *log_sums = a->log_sums ? a->log_sums + h * a->length : NULL;
    room.mask_row = h * a->length * NF(mask_stride)(a);
    NF(view) view = {0};
    for (; view.piece < a->length; view.piece += NF_KEYS) {
      view.keys = a->length - view.piece < NF_KEYS ? a->length - view.piece : NF_KEYS;
      const float *key = keys + view.piece * stride;
      // Heads that share keys find them copied, where all keys fit.
      if (key != copied) {
        NF(copy_keys)(&room.panels, key, stride, view.keys);
        NF(copy_values)(&room.panels, key + key_width, stride, view.keys);
        copied = key;
      }
      for (size_t i = 0, rows; i < a->length; i += rows) {
        rows = NF(block)(a->length - i);
        const size_t seen = NF(first_seen)(a, i), end = NF(end_of_seen)(a, i + rows - 1);
        if (seen >= view.piece + view.keys || end <= view.piece) continue;
        view.start = seen > view.piece ? (seen - view.piece) / NF_PANEL * NF_PANEL : 0;
        view.stop = end < view.piece + view.keys ? end - view.piece : view.keys;
        NF(attend_block)(a, &room, &view, bias, query + i * stride, stride, i, rows, out + i * width + h * a->head_width,
                         width, log_sums);
      }
    }
  }
}
