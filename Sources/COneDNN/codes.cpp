// Products of stored codes (unsigned bytes) with a batch of queries (signed bytes), which are exact in 32-bit integers.
#include <cstddef>
#include <memory>
#include <vector>

#include "shared.hpp"

using dnnl::memory;

struct nf_code_batch {
  dnnl::matmul product;
  dnnl::matmul::primitive_desc description;
  memory packed;
  size_t row_bytes, products;
  // The rows are multiplied nibble by nibble: first the lower nibbles of all rows, then the upper ones.
  bool in_nibbles;

  nf_code_batch(const int8_t *queries, int64_t count, int64_t inner, int64_t rows, int64_t row_stride, bool in_nibbles);
  void run(const uint8_t *rows, int32_t *products) const;
};

nf_code_batch::nf_code_batch(const int8_t *queries, int64_t count, int64_t inner, int64_t rows, int64_t row_stride,
                             bool in_nibbles)
    : row_bytes(static_cast<size_t>(rows * row_stride)), products(static_cast<size_t>(rows * count)),
      in_nibbles(in_nibbles) {
  const int64_t multiplied = in_nibbles ? 2 * rows : rows;
  const memory::desc left({multiplied, inner}, memory::data_type::u8, memory::dims{row_stride, 1});
  const memory::desc given({inner, count}, memory::data_type::s8, memory::format_tag::ba);
  const memory::desc free_form({inner, count}, memory::data_type::s8, memory::format_tag::any);
  const memory::desc out({multiplied, count}, memory::data_type::s32, memory::dims{count, 1});
  description = nearfar::describe_product(left, free_form, memory::desc(), out);
  product = dnnl::matmul(description);
  packed = memory(description.weights_desc(), nearfar::engine());
  memory source(given, nearfar::engine(), const_cast<int8_t *>(queries));
  dnnl::reorder(source, packed).execute(nearfar::stream(), source, packed);
  nearfar::stream().wait();
}

void nf_code_batch::run(const uint8_t *rows, int32_t *out) const {
  thread_local std::vector<uint8_t> nibbles;
  thread_local std::vector<int32_t> halves;
  const uint8_t *multiplied = rows;
  int32_t *target = out;
  if (in_nibbles) {
    if (nibbles.size() < 2 * row_bytes) nibbles.resize(2 * row_bytes);
    if (halves.size() < 2 * products) halves.resize(2 * products);
    for (size_t i = 0; i < row_bytes; i++) nibbles[i] = rows[i] & 15;
    for (size_t i = 0; i < row_bytes; i++) nibbles[row_bytes + i] = rows[i] >> 4;
    multiplied = nibbles.data();
    target = halves.data();
  }
  memory scratch = nearfar::scratchpad(description.scratchpad_desc());
  product.execute(nearfar::stream(),
                  {{DNNL_ARG_SRC, memory(description.src_desc(), nearfar::engine(), const_cast<uint8_t *>(multiplied))},
                   {DNNL_ARG_WEIGHTS, packed},
                   {DNNL_ARG_DST, memory(description.dst_desc(), nearfar::engine(), target)},
                   {DNNL_ARG_SCRATCHPAD, scratch}});
  nearfar::stream().wait();
  if (in_nibbles) {
    for (size_t i = 0; i < products; i++) out[i] = halves[i] + 16 * halves[products + i];
  }
}

namespace {

// Whether the library's products of whole bytes are exact. Without the instructions for them (VNNI), it adds two
// products in 16 bits, which the sum can exceed: 2 · 255 · 127. Then it saturates and says nothing, so it is tried.
// Products of nibbles always fit.
bool bytes_are_exact() {
  constexpr int64_t kRows = 64, kInner = 64, kCount = 16;
  const std::vector<uint8_t> rows(kRows * kInner, 255);
  for (const int8_t value : {int8_t{127}, int8_t{-127}}) {
    const std::vector<int8_t> queries(kCount * kInner, value);
    std::vector<int32_t> found(kRows * kCount);
    nf_code_batch(queries.data(), kCount, kInner, kRows, kInner, false).run(rows.data(), found.data());
    for (const int32_t each : found) {
      if (each != 255 * value * kInner) return false;
    }
  }
  return true;
}

}  // namespace

extern "C" {

int nf_code_batch_create(const int8_t *queries, int64_t count, int64_t inner, int64_t rows, int64_t row_stride,
                         nf_code_batch **made) try {
  nearfar::stay_on_this_thread();
  static const bool in_nibbles = !bytes_are_exact();
  *made = new nf_code_batch(queries, count, inner, rows, row_stride, in_nibbles);
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

void nf_code_batch_destroy(nf_code_batch *batch) { delete batch; }

int nf_code_batch_product(const nf_code_batch *batch, const uint8_t *rows, int32_t *products) try {
  nearfar::stay_on_this_thread();
  batch->run(rows, products);
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

}  // extern "C"
