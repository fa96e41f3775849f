// Products of stored codes (unsigned bytes) with a batch of queries (signed bytes), which are exact in 32-bit integers.
#include <memory>

#include "shared.hpp"

using dnnl::memory;

struct nf_code_batch {
  dnnl::matmul product;
  dnnl::matmul::primitive_desc description;
  memory packed;
};

extern "C" {

int nf_code_batch_create(const int8_t *queries, int64_t count, int64_t inner, int64_t rows, int64_t row_stride,
                         nf_code_batch **made) try {
  nearfar::stay_on_this_thread();
  auto batch = std::make_unique<nf_code_batch>();
  const memory::desc left({rows, inner}, memory::data_type::u8, memory::dims{row_stride, 1});
  const memory::desc given({inner, count}, memory::data_type::s8, memory::format_tag::ba);
  const memory::desc free_form({inner, count}, memory::data_type::s8, memory::format_tag::any);
  const memory::desc out({rows, count}, memory::data_type::s32, memory::dims{count, 1});
  batch->description = nearfar::describe_product(left, free_form, memory::desc(), out, dnnl::post_ops());
  batch->product = dnnl::matmul(batch->description);
  batch->packed = memory(batch->description.weights_desc(), nearfar::engine());
  memory source(given, nearfar::engine(), const_cast<int8_t *>(queries));
  dnnl::reorder(source, batch->packed).execute(nearfar::stream(), source, batch->packed);
  nearfar::stream().wait();
  *made = batch.release();
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

void nf_code_batch_destroy(nf_code_batch *batch) { delete batch; }

int nf_code_batch_product(const nf_code_batch *batch, const uint8_t *rows, int32_t *products) try {
  nearfar::stay_on_this_thread();
  memory scratch = nearfar::scratchpad(batch->description.scratchpad_desc());
  batch->product.execute(
      nearfar::stream(),
      {{DNNL_ARG_SRC, memory(batch->description.src_desc(), nearfar::engine(), const_cast<uint8_t *>(rows))},
       {DNNL_ARG_WEIGHTS, batch->packed},
       {DNNL_ARG_DST, memory(batch->description.dst_desc(), nearfar::engine(), products)},
       {DNNL_ARG_SCRATCHPAD, scratch}});
  nearfar::stream().wait();
  return 0;
} catch (...) {
  return nearfar::status_of_failure();
}

}  // extern "C"
