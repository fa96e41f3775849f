// The instructions of the matrix unit (AMX) as plain loops, after the operations in the Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 2. Included before Sources/CKernels/amx.c, so that the kernels for the unit run without one.
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct {
  uint8_t palette, first_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;
static uint8_t tiles[8][16][64];

// The processor would raise an exception.
static inline void tile_must(int holds) {
  if (!holds) abort();
}

static inline void tile_load_shapes(const void *shapes) {
  memcpy(&tile_shapes, shapes, sizeof tile_shapes);
  memset(tiles, 0, sizeof tiles);
  tile_must(tile_shapes.palette == 1 && tile_shapes.first_row == 0);
  for (int t = 0; t < 16; t++)
    tile_must(tile_shapes.rows[t] <= (t < 8 ? 16 : 0) && tile_shapes.row_bytes[t] <= (t < 8 ? 64 : 0));
}

static inline void tile_end(void) {
  memset(&tile_shapes, 0, sizeof tile_shapes);
}

// Loads the rows of a tile; those behind them become 0.
static inline void tile_load(int t, const void *from, size_t stride) {
  tile_must(tile_shapes.rows[t] > 0 && tile_shapes.row_bytes[t] > 0);
  memset(tiles[t], 0, sizeof tiles[t]);
  for (size_t r = 0; r < tile_shapes.rows[t]; r++)
    memcpy(tiles[t][r], (const char *)from + r * stride, tile_shapes.row_bytes[t]);
}

static inline void tile_store(int t, void *to, size_t stride) {
  tile_must(tile_shapes.rows[t] > 0 && tile_shapes.row_bytes[t] > 0);
  for (size_t r = 0; r < tile_shapes.rows[t]; r++)
    memcpy((char *)to + r * stride, tiles[t][r], tile_shapes.row_bytes[t]);
}

static inline void tile_clear(int t) {
  tile_must(tile_shapes.rows[t] > 0 && tile_shapes.row_bytes[t] > 0);
  memset(tiles[t], 0, sizeof tiles[t]);
}

// The shapes of a product sums += a·b must fit.
static inline void tile_check_product(int sums, int a, int b) {
  tile_must(sums != a && sums != b && a != b && tile_shapes.rows[sums] == tile_shapes.rows[a] &&
            tile_shapes.row_bytes[a] == 4 * tile_shapes.rows[b] &&
            tile_shapes.row_bytes[sums] == tile_shapes.row_bytes[b]);
}

static inline float tile_bf16(int t, int row, int place) {
  uint16_t half;
  memcpy(&half, &tiles[t][row][2 * place], 2);
  const uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

// The sums of the even and of the odd products are added at the end.
static inline void tile_multiply_bf16(int sums, int a, int b) {
  tile_check_product(sums, a, b);
  for (int m = 0; m < tile_shapes.rows[sums]; m++) {
    for (int n = 0; n < tile_shapes.row_bytes[sums] / 4; n++) {
      float parts[2] = {0, 0}, sum;
      for (int k = 0; k < tile_shapes.row_bytes[a] / 4; k++)
        for (int i = 0; i < 2; i++)
          parts[i] = __builtin_fmaf(tile_bf16(a, m, 2 * k + i), tile_bf16(b, k, 2 * n + i), parts[i]);
      memcpy(&sum, &tiles[sums][m][4 * n], 4);
      sum += parts[0] + parts[1];
      memcpy(&tiles[sums][m][4 * n], &sum, 4);
    }
  }
}

// Bytes without a sign by bytes with one.
static inline void tile_multiply_bytes(int sums, int a, int b) {
  tile_check_product(sums, a, b);
  for (int m = 0; m < tile_shapes.rows[sums]; m++) {
    for (int n = 0; n < tile_shapes.row_bytes[sums] / 4; n++) {
      uint32_t sum;
      memcpy(&sum, &tiles[sums][m][4 * n], 4);
      for (int k = 0; k < tile_shapes.row_bytes[a] / 4; k++)
        for (int i = 0; i < 4; i++) sum += (uint32_t)((int32_t)tiles[a][m][4 * k + i] * (int8_t)tiles[b][k][4 * n + i]);
      memcpy(&tiles[sums][m][4 * n], &sum, 4);
    }
  }
}

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#undef _tile_dpbusd
#define _tile_loadconfig tile_load_shapes
#define _tile_release tile_end
#define _tile_loadd tile_load
#define _tile_stored tile_store
#define _tile_zero tile_clear
#define _tile_dpbf16ps tile_multiply_bf16
#define _tile_dpbusd tile_multiply_bytes
