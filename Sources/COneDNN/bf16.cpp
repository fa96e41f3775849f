// Products of matrices of bf16 with sums in f32.
#include <map>
#include <tuple>

#include "shared.hpp"

using dnnl::memory;

extern "C" int nf_product_bf16(const uint16_t *left, int left_is_transposed, int64_t left_stride, const uint16_t *right,
                               int right_is_transposed, int64_t right_stride, int64_t rows, int64_t columns,
                               int64_t inner, float *out, int64_t out_stride) try {
  nearfar::stay_on_this_thread();
  // Describing a product takes long beside a small product. Each thread keeps those of a few sizes.
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int>;
  struct Made {
    dnnl::matmul::primitive_desc description;
    dnnl::matmul product;
  };
  thread_local std::map<Key, Made> known;
  constexpr size_t kMostKept = 256;
  const Key key(rows, columns, inner, left_stride, right_stride, out_stride,
                (left_is_transposed ? 1 : 0) + (right_is_transposed ? 2 : 0));
  auto found = known.find(key);
  if (found == known.end()) {
    const auto bf16 = memory::data_type::bf16;
    const auto strides = [](int is_transposed, int64_t stride) {
      return is_transposed ? memory::dims{1, stride} : memory::dims{stride, 1};
    };
    const memory::desc a({rows, inner}, bf16, strides(left_is_transposed, left_stride));
    const memory::desc b({inner, columns}, bf16, strides(right_is_transposed, right_stride));
    const memory::desc c({rows, columns}, memory::data_type::f32, memory::dims{out_stride, 1});
    dnnl::post_ops sum;
    sum.append_sum(1.f);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    attributes.set_post_ops(sum);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc description(nearfar::engine(), a, b, c, attributes);
#else
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, nearfar::engine());
#endif
    if (known.size() >= kMostKept) known.clear();
    found = known.emplace(key, Made{description, dnnl::matmul(description)}).first;
  }
  const auto &[description, product] = found->second;
  const auto of = [](const memory::desc &shape, const void *data) {
    return memory(shape, nearfar::engine(), const_cast<void *>(data));
  };
  product.execute(nearfar::stream(), {{DNNL_ARG_SRC, of(description.src_desc(), left)},
                                      {DNNL_ARG_WEIGHTS, of(description.weights_desc(), right)},
                                      {DNNL_ARG_DST, of(description.dst_desc(), out)},
                                      {DNNL_ARG_SCRATCHPAD, nearfar::scratchpad(description.scratchpad_desc())}});
  nearfar::stream().wait();
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}
