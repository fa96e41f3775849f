// Products of matrices that are used once or a few times, and are therefore not repacked.
#include "shared.hpp"

extern "C" {

int nf_product_transposed(const float *left, int64_t rows, const float *right, int64_t columns, int64_t inner,
                          float *products, int64_t stride) {
  nearfar::stay_on_this_thread();
  return dnnl_sgemm('N', 'T', rows, columns, inner, 1.f, left, inner, right, inner, 0.f, products, stride);
}

int nf_product_accumulate(const float *weights, int64_t count, int64_t stride, const float *rows, int64_t inner,
                          int64_t columns, float *out) {
  nearfar::stay_on_this_thread();
  return dnnl_sgemm('N', 'N', count, columns, inner, 1.f, weights, stride, rows, columns, 1.f, out, columns);
}

int nf_product_transposed_accumulate(const float *weights, int64_t count, int64_t stride, const float *rows,
                                     int64_t inner, int64_t columns, float *out) {
  nearfar::stay_on_this_thread();
  return dnnl_sgemm('T', 'N', count, columns, inner, 1.f, weights, stride, rows, columns, 1.f, out, columns);
}

}  // extern "C"
