// Products with rows that are used many times and are therefore repacked once, tile by tile, into the library's own
// layout.
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <tuple>
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

  void product_of(int64_t tile, const float *left, float *products) const {
    memory scratch = nearfar::scratchpad(description.scratchpad_desc());
    product.execute(nearfar::stream(),
                    {{DNNL_ARG_SRC, memory(description.src_desc(), nearfar::engine(), const_cast<float *>(left))},
                     {DNNL_ARG_WEIGHTS, tiles[static_cast<size_t>(tile)]},
                     {DNNL_ARG_DST, memory(description.dst_desc(), nearfar::engine(), products)},
                     {DNNL_ARG_SCRATCHPAD, scratch}});
    nearfar::stream().wait();
  }

  void pack(int64_t tile, const float *first) {
    memory source(given, nearfar::engine(), const_cast<float *>(first));
    memory target(packed_form, nearfar::engine());
    packing.execute(nearfar::stream(), source, target);
    nearfar::stream().wait();
    tiles[static_cast<size_t>(tile)] = target;
  }
};

namespace {

std::unique_ptr<nf_packed> describe(int64_t inner, int64_t columns, int64_t tiles, int64_t left_rows, int64_t stride) {
  const auto f32 = memory::data_type::f32;
  auto packed = std::make_unique<nf_packed>();
  packed->inner = inner;
  packed->columns = columns;
  packed->given = memory::desc({inner, columns}, f32, memory::format_tag::ba);
  const memory::desc left({left_rows, inner}, f32, memory::format_tag::ab);
  const memory::desc free_form({inner, columns}, f32, memory::format_tag::any);
  const memory::desc out({left_rows, columns}, f32, memory::dims{stride, 1});
  packed->description = nearfar::describe_product(left, free_form, memory::desc(), out);
  packed->packed_form = packed->description.weights_desc();
  packed->product = dnnl::matmul(packed->description);
  packed->packing = dnnl::reorder(dnnl::reorder::primitive_desc(
      nearfar::engine(), packed->given, nearfar::engine(), packed->packed_form));
  packed->tiles.resize(static_cast<size_t>(tiles));
  return packed;
}

// Whether equal rows have equal products here and in nf_product_transposed, which computes the rows that fill no tile.
// The library promises nothing of the kind, and for some numbers of rows it is not so on processors without AVX-512:
// ties would be decided by where a row stands. So it is tried.
bool agrees_with_product(int64_t inner, int64_t columns, int64_t left_rows) {
  // Every product is compared for as many rows, since two orders of summation often give the same number.
  constexpr int64_t kDistinct = 16;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> values(-1.f, 1.f);
  std::vector<float> left(static_cast<size_t>(left_rows * inner)), right(static_cast<size_t>(columns * inner));
  std::generate(left.begin(), left.end(), [&] { return values(random); });
  for (size_t i = 0; i < right.size(); i++)
    right[i] = i < static_cast<size_t>(kDistinct * inner) ? values(random) : right[i - static_cast<size_t>(kDistinct * inner)];
  const auto packed = describe(inner, columns, 1, left_rows, columns);
  packed->pack(0, right.data());
  std::vector<float> found(static_cast<size_t>(left_rows * columns));
  std::vector<float> expected(static_cast<size_t>(left_rows * kDistinct));
  packed->product_of(0, left.data(), found.data());
  const int status = nf_product_transposed(left.data(), left_rows, right.data(), std::min(kDistinct, columns), inner,
                                           expected.data(), kDistinct);
  if (status != NF_SUCCESS) throw dnnl::error(static_cast<dnnl_status_t>(status), "a trial product failed");
  for (int64_t row = 0; row < left_rows; row++) {
    for (int64_t column = 0; column < columns; column++) {
      if (found[static_cast<size_t>(row * columns + column)] !=
          expected[static_cast<size_t>(row * kDistinct + column % kDistinct)])
        return false;
    }
  }
  return true;
}

// The same, tried once for the same sizes.
bool is_known_to_agree(int64_t inner, int64_t columns, int64_t left_rows) {
  // Clients choose the sizes, so that what is kept must be bounded.
  constexpr size_t kMostKept = 1024;
  static std::mutex mutex;
  static std::map<std::tuple<int64_t, int64_t, int64_t>, bool> known;
  const std::tuple<int64_t, int64_t, int64_t> sizes(inner, columns, left_rows);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (const auto found = known.find(sizes); found != known.end()) return found->second;
  }
  const bool agrees = agrees_with_product(inner, columns, left_rows);
  const std::lock_guard<std::mutex> lock(mutex);
  if (known.size() >= kMostKept) known.clear();
  return known[sizes] = agrees;
}

}  // namespace

extern "C" {

int nf_packed_create(const float *rows, int64_t inner, int64_t columns, int64_t tiles, int64_t left_rows, int64_t stride,
                     int ties_matter, nf_packed **made) try {
  nearfar::stay_on_this_thread();
  if (ties_matter && !is_known_to_agree(inner, columns, left_rows)) return NF_NOT_SUPPORTED;
  auto packed = describe(inner, columns, tiles, left_rows, stride);
  packed->rows = rows;
  *made = packed.release();
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

void nf_packed_destroy(nf_packed *packed) { delete packed; }

int nf_packed_pack(nf_packed *packed, int64_t tile) try {
  nearfar::stay_on_this_thread();
  packed->pack(tile, packed->rows + tile * packed->columns * packed->inner);
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

int nf_packed_product(const nf_packed *packed, int64_t tile, const float *left, float *products) try {
  nearfar::stay_on_this_thread();
  packed->product_of(tile, left, products);
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

}  // extern "C"
