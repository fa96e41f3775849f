// The products of oneDNN that Nearfar uses. Each call runs on the calling thread alone, because the service distributes
// work over its own queues.
//
// Functions that return an int return a dnnl_status_t: NF_SUCCESS, or the reason why the library failed. All matrices
// are row-major.
#ifndef NEARFAR_CONEDNN_H
#define NEARFAR_CONEDNN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NF_SUCCESS = 0, NF_OUT_OF_MEMORY = 1, NF_NOT_SUPPORTED = 3 };

// The library's name of a status, for instance "out_of_memory" or "invalid_arguments".
const char *nf_onednn_status_name(int status);

// products[i, j] = Σ_d left[i, d]·right[j, d]: left [rows, inner], right [columns, inner], products [rows, stride].
// Equal rows of `right` have equal products in each row, in calls with other numbers of columns (up to 512), too.
int nf_product_transposed(const float *left, int64_t rows, const float *right, int64_t columns, int64_t inner,
                          float *products, int64_t stride);

// Rows that take part in many products: `tiles` tiles of `columns` rows of `inner` values each, from `rows` on. They
// must stay where they are until all tiles are packed. The left side of every product has `left_rows` rows, and the
// rows of products are `stride` values apart. With `ties_matter`, equal rows have equal products here and in
// nf_product_transposed. On success the caller must destroy `*packed`; NF_NOT_SUPPORTED when the library has no packed
// form for these sizes of which that holds.
typedef struct nf_packed nf_packed;
int nf_packed_create(const float *rows, int64_t inner, int64_t columns, int64_t tiles, int64_t left_rows, int64_t stride,
                     int ties_matter, nf_packed **packed);
void nf_packed_destroy(nf_packed *packed);
// Repacks one tile. Different tiles may be packed on different threads at once.
int nf_packed_pack(nf_packed *packed, int64_t tile);
// products[i, j] = Σ_d left[i, d]·tile[j, d] for a packed tile. May be called on several threads at once.
int nf_packed_product(const nf_packed *packed, int64_t tile, const float *left, float *products);

// The two products of a backward pass, which are added to what `out` holds.
// out[i, c] += Σ_j weights[i, j]·rows[j, c]: weights [count, stride], rows [inner, columns], out [count, columns].
int nf_product_accumulate(const float *weights, int64_t count, int64_t stride, const float *rows, int64_t inner,
                          int64_t columns, float *out);
// out[j, c] += Σ_i weights[i, j]·rows[i, c]: weights [inner, stride], rows [inner, columns], out [count, columns].
int nf_product_transposed_accumulate(const float *weights, int64_t count, int64_t stride, const float *rows,
                                     int64_t inner, int64_t columns, float *out);

// out[i, j] += Σ_d left[i, d]·right[d, j] for matrices of bf16, with sums in f32: left [rows, inner], right [inner, columns],
// out [rows, columns]. Strides are those from one row to the next; a matrix that is transposed is given as its transpose.
// NF_NOT_SUPPORTED where the library has no such products on this processor.
int nf_product_bf16(const uint16_t *left, int left_is_transposed, int64_t left_stride, const uint16_t *right,
                    int right_is_transposed, int64_t right_stride, int64_t rows, int64_t columns, int64_t inner,
                    float *out, int64_t out_stride);

// A batch of `count` queries of `inner` signed bytes, repacked for products with tiles of `rows` rows of unsigned
// bytes, which are `row_stride` bytes apart. On success the caller must destroy `*batch`.
typedef struct nf_code_batch nf_code_batch;
int nf_code_batch_create(const int8_t *queries, int64_t count, int64_t inner, int64_t rows, int64_t row_stride,
                         nf_code_batch **batch);
void nf_code_batch_destroy(nf_code_batch *batch);
// products[i·count + j] = Σ_d rows[i, d]·queries[j, d], exactly. May be called on several threads at once.
int nf_code_batch_product(const nf_code_batch *batch, const uint8_t *rows, int32_t *products);

// The library's version and the best instruction set that it found, for instance "2.6.3 avx512_core_bf16".
const char *nf_onednn_description(void);

#ifdef __cplusplus
}
#endif
#endif
