// Products of rows with packed weights by the matrix unit of the processor, AMX (Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 1, chapter 18); part of template.h.
//
// A tile is a register of 16 rows of 64 bytes, and one instruction multiplies two of them as matrices. A panel holds its weights just
// as a tile is to hold them: those of 16 outputs for 2 inputs of bf16 or 4 of int8 in a row. Two tiles of rows and a panel, which
// is two tiles wide, make four tiles of sums. A row of the sums takes its terms in one order, whatever rows stand beside it.

_Static_assert(NF_PANEL == 2 * NF_TILE, "a panel is two tiles wide");

// Sets the shapes of the tiles: 0 to 3 are sums, 4 and 5 rows of the left side, 6 and 7 the halves of a panel.
NF_INLINE void NF(begin_tiles)(size_t rows) {
  struct {
    uint8_t palette, first_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shapes = {.palette = 1};
  for (int tile = 0; tile < 8; tile++) {
    shapes.row_bytes[tile] = 64;
    shapes.rows[tile] = tile < 6 ? (uint8_t)rows : NF_TILE;
  }
  _tile_loadconfig(&shapes);
}

// The sums of one or two tiles of rows with a panel, whose weights are `values`: `out` is [2·NF_TILE, NF_PANEL] values of f32 or of
// 32-bit integers.
NF_INLINE void NF(tile_sums)(int is_int8, int is_double, const char *first, const char *second, size_t stride,
                             const char *values, size_t steps, NF(ahead) *ahead, float *out) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t k = 0; k < steps; k++, first += 64, second += 64, values += 2 * 64 * NF_TILE) {
    for (size_t line = 0; line < ahead->lines; line++, ahead->next += 64) __builtin_prefetch(ahead->next);
    _tile_loadd(6, values, 128);
    _tile_loadd(7, values + 64, 128);
    _tile_loadd(4, first, stride);
    if (is_double) _tile_loadd(5, second, stride);
    if (is_int8) {
      _tile_dpbusd(0, 4, 6);
      _tile_dpbusd(1, 4, 7);
      if (is_double) _tile_dpbusd(2, 5, 6);
      if (is_double) _tile_dpbusd(3, 5, 7);
    } else {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if (is_double) _tile_dpbf16ps(2, 5, 6);
      if (is_double) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, out, 4 * NF_PANEL);
  _tile_stored(1, out + NF_TILE, 4 * NF_PANEL);
  if (!is_double) return;
  _tile_stored(2, out + NF_TILE * NF_PANEL, 4 * NF_PANEL);
  _tile_stored(3, out + NF_TILE * NF_PANEL + NF_TILE, 4 * NF_PANEL);
}

// Turns the sums of integers of `rows` rows into those of the values before they were quantised; `x` is the first of the rows.
NF_INLINE void NF(scale_sums)(const char *x, size_t stride, const char *panel, size_t rows, float *sums) {
  const float *scales = (const float *)panel + NF_PANEL, *offsets = (const float *)panel + 2 * NF_PANEL;
  for (size_t r = 0; r < rows; r++, x += stride, sums += NF_PANEL) {
    float step;
    memcpy(&step, x, 4);
    for (int half = 0; half < NF_PANEL; half += NF_WIDTH) {
      const vi sum = (vi)NF(load)(sums + half) + (vi)NF(load)(offsets + half);
      const vf scale = step * NF(load)(scales + half);
      NF(store)(sums + half, __builtin_convertvector(sum, vf) * scale);
    }
  }
}

// As dense_rows of products.h, which multiplies in f32 here, too.
static void NF(dense_rows_in_tiles)(const nf_dense *layer, const void *x, size_t rows, size_t first, size_t panels,
                                    float *y) {
  if (layer->precision == NF_F32 || rows == 0) {
    NF(dense_rows)(layer, x, rows, first, panels, y);
    return;
  }
  const int is_int8 = layer->precision == NF_INT8;
  const size_t stride = layer->stride, bytes = NF(panel_bytes)(layer->precision, layer->inputs);
  const size_t steps =
      NF(padded_inputs)(layer->precision, layer->inputs) / NF(together)(layer->precision) / NF_TILE;
  const size_t fetches = (rows + 2 * NF_TILE - 1) / (2 * NF_TILE) * steps, height = rows < NF_TILE ? rows : NF_TILE;
  const char *values = (const char *)x + (is_int8 ? NF_ROW_HEADER : 0), *panel = (const char *)layer->panels + first * bytes;
  float sums[2 * NF_TILE * NF_PANEL] __attribute__((aligned(64)));
  NF(begin_tiles)(height);
  for (size_t o = first * NF_PANEL; o < layer->outputs && panels > 0; o += NF_PANEL, panel += bytes, panels--) {
    const size_t columns = layer->outputs - o < NF_PANEL ? layer->outputs - o : NF_PANEL;
    const int has_next = panels > 1 && columns < layer->outputs - o;
    NF(ahead) ahead = {panel + bytes, has_next ? (bytes / 64 + fetches - 1) / fetches : 0};
    for (size_t r = 0, tiles; r < rows; r += tiles * NF_TILE) {
      tiles = rows - r > NF_TILE ? 2 : 1;
      // Where a tile would reach beyond the last row, it begins earlier, with rows that another tile holds as well.
      size_t start[2];
      for (size_t t = 0; t < tiles; t++) start[t] = r + t * NF_TILE < rows - height ? r + t * NF_TILE : rows - height;
      const char *left = values + start[0] * stride, *weights = panel + NF_PANEL_HEADER;
      if (is_int8 && tiles == 2)
        NF(tile_sums)(1, 1, left, values + start[1] * stride, stride, weights, steps, &ahead, sums);
      else if (is_int8)
        NF(tile_sums)(1, 0, left, left, stride, weights, steps, &ahead, sums);
      else if (tiles == 2)
        NF(tile_sums)(0, 1, left, values + start[1] * stride, stride, weights, steps, &ahead, sums);
      else
        NF(tile_sums)(0, 0, left, left, stride, weights, steps, &ahead, sums);
      for (size_t t = 0; t < tiles; t++) {
        const size_t row = r + t * NF_TILE, before = row - start[t], count = height - before;
        float *found = sums + (t * NF_TILE + before) * NF_PANEL;
        if (is_int8) NF(scale_sums)((const char *)x + row * stride, stride, panel, count, found);
        NF(finish)(layer, found, (const float *)panel, count, columns, y + row * layer->outputs + o);
      }
    }
  }
  _tile_release();
}
