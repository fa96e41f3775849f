// Products of matrices that are used once or a few times, and are therefore not repacked.
#include <algorithm>
#include <vector>

#include "shared.hpp"

namespace {

// The library computes columns in groups of 16 at most, and sums up those of a smaller last group in another order on
// processors without AVX-512. Equal columns must give equal products, or ties would be decided by where a column
// stands, so the last group is filled up with zeros.
constexpr int64_t kGroup = 16;

}  // namespace

extern "C" {

int nf_product_transposed(const float *left, int64_t rows, const float *right, int64_t columns, int64_t inner,
                          float *products, int64_t stride) try {
  nearfar::stay_on_this_thread();
  if (stride < columns) return dnnl_invalid_arguments;
  const int64_t whole = columns / kGroup * kGroup, rest = columns - whole;
  if (whole > 0) {
    const auto status = dnnl_sgemm('N', 'T', rows, whole, inner, 1.f, left, inner, right, inner, 0.f, products, stride);
    if (status != dnnl_success) return status;
  }
  if (rest == 0) return NF_SUCCESS;
  thread_local std::vector<float> last, found;
  last.assign(static_cast<size_t>(kGroup * inner), 0.f);
  std::copy_n(right + whole * inner, rest * inner, last.begin());
  found.resize(static_cast<size_t>(rows * kGroup));
  const auto status =
      dnnl_sgemm('N', 'T', rows, kGroup, inner, 1.f, left, inner, last.data(), inner, 0.f, found.data(), kGroup);
  if (status != dnnl_success) return status;
  for (int64_t row = 0; row < rows; row++)
    std::copy_n(found.begin() + row * kGroup, rest, products + row * stride + whole);
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
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
