// Products with rows that are used many times and are therefore repacked once, tile by tile, into the library's own
// layout.
#include <memory>
#include <unordered_map>
#include <vector>

#include "shared.hpp"

using dnnl::memory;

struct nf_packed {
  int64_t inner = 0, columns = 0;
  const float *rows = nullptr;
  memory::desc given, packed_form;
  dnnl::matmul product;
  dnnl::matmul::primitive_desc description;
  dnnl::reorder packing;
  std::vector<memory> tiles;
};

extern "C" {

int nf_packed_create(const float *rows, int64_t inner, int64_t columns, int64_t tiles, int64_t left_rows, int64_t stride,
                     nf_packed **made) try {
  nearfar::stay_on_this_thread();
  const auto f32 = memory::data_type::f32;
  auto packed = std::make_unique<nf_packed>();
  packed->inner = inner;
  packed->columns = columns;
  packed->rows = rows;
  packed->given = memory::desc({inner, columns}, f32, memory::format_tag::ba);
  const memory::desc left({left_rows, inner}, f32, memory::format_tag::ab);
  const memory::desc free_form({inner, columns}, f32, memory::format_tag::any);
  const memory::desc out({left_rows, columns}, f32, memory::dims{stride, 1});
  packed->description = nearfar::describe_product(left, free_form, memory::desc(), out, dnnl::post_ops());
  packed->packed_form = packed->description.weights_desc();
  packed->product = dnnl::matmul(packed->description);
  packed->packing = dnnl::reorder(dnnl::reorder::primitive_desc(
      nearfar::engine(), packed->given, nearfar::engine(), packed->packed_form));
  packed->tiles.resize(static_cast<size_t>(tiles));
  *made = packed.release();
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

void nf_packed_destroy(nf_packed *packed) { delete packed; }

int nf_packed_pack(nf_packed *packed, int64_t tile) try {
  nearfar::stay_on_this_thread();
  const float *first = packed->rows + tile * packed->columns * packed->inner;
  memory source(packed->given, nearfar::engine(), const_cast<float *>(first));
  memory target(packed->packed_form, nearfar::engine());
  packed->packing.execute(nearfar::stream(), source, target);
  nearfar::stream().wait();
  packed->tiles[static_cast<size_t>(tile)] = target;
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

int nf_packed_product(const nf_packed *packed, int64_t tile, const float *left, float *products) try {
  nearfar::stay_on_this_thread();
  memory scratch = nearfar::scratchpad(packed->description.scratchpad_desc());
  packed->product.execute(
      nearfar::stream(),
      {{DNNL_ARG_SRC, memory(packed->description.src_desc(), nearfar::engine(), const_cast<float *>(left))},
       {DNNL_ARG_WEIGHTS, packed->tiles[static_cast<size_t>(tile)]},
       {DNNL_ARG_DST, memory(packed->description.dst_desc(), nearfar::engine(), products)},
       {DNNL_ARG_SCRATCHPAD, scratch}});
  nearfar::stream().wait();
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

}  // extern "C"
