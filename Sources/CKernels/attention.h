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

// Adds what `count` keys contribute to `rows` queries from row i on. The first piece sets what later ones add to.
NF_INLINE void NF(attend_block)(const NF(attention_room) *room, const float *query, size_t stride, size_t i, size_t rows,
                                size_t count, int is_first, int is_last, size_t head_width, float scale, float *out,
                                size_t width) {
  const size_t padded = (count + NF_PANEL - 1) / NF_PANEL * NF_PANEL;
  for (size_t j = 0; j < padded; j += NF_PANEL)
    NF(sums_of_block)(query, stride, room->keys + j * head_width, head_width, rows, room->scores + j, NF_KEYS);
  float keep[NF_ROWS], share[NF_ROWS];
  for (size_t r = 0; r < rows; r++) {
    const float before = is_first ? -FLT_MAX : room->top[i + r];
    float top = before;
    float total = NF(softmax_row)(room->scores + r * NF_KEYS, count, padded, scale, &top);
    keep[r] = is_first ? 0 : expf((before - top) * scale);
    if (!is_first) total += keep[r] * room->total[i + r];
    room->top[i + r] = top;
    room->total[i + r] = total;
    share[r] = is_last ? 1 / total : 1;
  }
  float part[NF_ROWS * NF_PANEL] __attribute__((aligned(64)));
  for (size_t c = 0; c < head_width; c += NF_PANEL) {
    NF(sums_of_block)(room->scores, NF_KEYS, room->values + c / NF_PANEL * NF_KEYS * NF_PANEL, count, rows, part,
                      NF_PANEL);
    const size_t size = head_width - c < NF_PANEL ? head_width - c : NF_PANEL;
    for (size_t r = 0; r < rows; r++) {
      float *target = out + r * width + c;
      for (size_t d = 0; d < size; d++)
        target[d] = (part[r * NF_PANEL + d] + (is_first ? 0 : keep[r] * target[d])) * share[r];
    }
  }
}

static void NF(attention)(const float *qkv, size_t length, size_t heads, size_t first, size_t count, size_t head_width,
                          float scale, float *scratch, float *out) {
  const size_t width = heads * head_width, stride = 3 * width;
  const size_t panels = (head_width + NF_PANEL - 1) / NF_PANEL;
  NF(attention_room) room = {.keys = scratch};
  room.values = room.keys + NF_KEYS * head_width;
  room.scores = room.values + panels * NF_PANEL * NF_KEYS;
  room.top = room.scores + NF_ROWS * NF_KEYS;
  room.total = room.top + length;
  for (size_t h = first; h < first + count && h < heads; h++) {
    const float *query = qkv + h * head_width, *key = query + width, *value = key + width;
    for (size_t j = 0; j < length; j += NF_KEYS) {
      const size_t keys = length - j < NF_KEYS ? length - j : NF_KEYS;
      NF(copy_keys)(key + j * stride, stride, keys, head_width, room.keys);
      NF(copy_values)(value + j * stride, stride, keys, head_width, room.values);
      for (size_t i = 0, rows; i < length; i += rows) {
        rows = NF(block)(length - i);
        NF(attend_block)(&room, query + i * stride, stride, i, rows, keys, j == 0, j + keys == length,
                         head_width, scale, out + i * width + h * head_width, width);
      }
    }
  }
}
