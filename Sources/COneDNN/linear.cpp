#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "shared.hpp"

using dnnl::memory;
using nearfar::engine;
using nearfar::stream;

namespace {

// Rows are multiplied in tiles of 64, and the rest is rounded up to a multiple of 8, so that eight shapes at most serve
// every batch. At 8 rows the product already runs within a tenth of its peak.
constexpr int64_t kTile = 64;
constexpr int64_t kStep = 8;
constexpr size_t kShapes = kTile / kStep;

dnnl::post_ops activation_of(nf_activation kind) {
  dnnl::post_ops ops;
  switch (kind) {
    case NF_GELU_ERF: ops.append_eltwise(1.f, dnnl::algorithm::eltwise_gelu_erf, 0.f, 0.f); break;
    case NF_GELU_TANH: ops.append_eltwise(1.f, dnnl::algorithm::eltwise_gelu_tanh, 0.f, 0.f); break;
    case NF_RELU: ops.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, 0.f, 0.f); break;
    case NF_IDENTITY: break;
  }
  return ops;
}

}  // namespace

struct nf_linear {
  int64_t inputs = 0, outputs = 0;
  memory packed, bias;
  bool has_bias = false;
  // One product for each number of rows that is a multiple of kStep, up to kTile. All use the same packed weights.
  std::vector<dnnl::matmul> products;
  std::vector<dnnl::matmul::primitive_desc> descriptions;
  // The product to use for each number of rows: itself, or a larger one. See agreeing_shapes.
  std::array<size_t, kShapes> chosen{};

  dnnl::matmul::primitive_desc describe(int64_t rows, const memory::desc &weights, nf_activation activation) const {
    const auto f32 = memory::data_type::f32;
    const auto rowwise = memory::format_tag::ab;
    memory::desc x({rows, inputs}, f32, rowwise), y({rows, outputs}, f32, rowwise);
    const memory::desc b = has_bias ? memory::desc({1, outputs}, f32, rowwise) : memory::desc();
    return nearfar::describe_product(x, weights, b, y, activation_of(activation));
  }

  void run(size_t shape, const float *x, float *y) const {
    const auto &description = descriptions[shape];
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, memory(description.src_desc(), engine(), const_cast<float *>(x))},
        {DNNL_ARG_WEIGHTS, packed},
        {DNNL_ARG_DST, memory(description.dst_desc(), engine(), y)},
        {DNNL_ARG_SCRATCHPAD, nearfar::scratchpad(description.scratchpad_desc())}};
    if (has_bias) arguments.insert({DNNL_ARG_BIAS, bias});
    products[shape].execute(stream(), arguments);
    stream().wait();
  }
};

namespace {

// Which shapes give a row the bits that a whole tile gives it, wherever the row stands. On processors without AVX-512
// the library multiplies six rows at a time, and two rows that are left over are summed up in another order, so that
// shapes of 8, 32 and 56 rows differ there. The library promises nothing of the kind, so every shape is tried.
std::array<bool, kShapes> agreeing_shapes(const nf_linear &layer) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> values(-1.f, 1.f);
  std::vector<float> x(static_cast<size_t>(kTile * layer.inputs)), y(static_cast<size_t>(kTile * layer.outputs));
  std::generate_n(x.begin(), layer.inputs, [&] { return values(random); });
  for (int64_t row = 1; row < kTile; row++) std::copy_n(x.begin(), layer.inputs, x.begin() + row * layer.inputs);
  layer.run(kShapes - 1, x.data(), y.data());
  const std::vector<float> expected(y.begin(), y.begin() + layer.outputs);
  std::array<bool, kShapes> agrees{};
  for (size_t shape = 0; shape < kShapes; shape++) {
    layer.run(shape, x.data(), y.data());
    agrees[shape] = true;
    for (int64_t row = 0; row < static_cast<int64_t>(shape + 1) * kStep; row++) {
      if (std::memcmp(&y[static_cast<size_t>(row * layer.outputs)], expected.data(), expected.size() * sizeof(float)))
        agrees[shape] = false;
    }
  }
  return agrees;
}

// The same, tried once for all layers of the same sizes.
std::array<bool, kShapes> known_agreeing_shapes(const nf_linear &layer, nf_activation activation) {
  static std::mutex mutex;
  static std::map<std::tuple<int64_t, int64_t, bool, int>, std::array<bool, kShapes>> known;
  const std::lock_guard<std::mutex> lock(mutex);
  const std::tuple<int64_t, int64_t, bool, int> sizes(layer.inputs, layer.outputs, layer.has_bias, activation);
  const auto found = known.find(sizes);
  return found != known.end() ? found->second : known[sizes] = agreeing_shapes(layer);
}

}  // namespace

extern "C" {

int nf_linear_create(int64_t inputs, int64_t outputs, const float *weights, const float *bias, nf_activation activation,
                     nf_linear **created) try {
  nearfar::stay_on_this_thread();
  nearfar::fail_if_asked();
  const auto f32 = memory::data_type::f32;
  auto layer = std::make_unique<nf_linear>();
  layer->inputs = inputs;
  layer->outputs = outputs;
  layer->has_bias = bias != nullptr;
  const memory::desc free_form({inputs, outputs}, f32, memory::format_tag::any);
  const memory::desc packed_form = layer->describe(kTile, free_form, activation).weights_desc();
  for (int64_t rows = kStep; rows <= kTile; rows += kStep) {
    layer->descriptions.push_back(layer->describe(rows, packed_form, activation));
    layer->products.emplace_back(layer->descriptions.back());
  }
  const memory::desc given({inputs, outputs}, f32, memory::format_tag::ba);
  memory source(given, engine(), const_cast<float *>(weights));
  layer->packed = memory(packed_form, engine());
  dnnl::reorder(source, layer->packed).execute(stream(), source, layer->packed);
  if (bias) {
    layer->bias = memory({{1, outputs}, f32, memory::format_tag::ab}, engine());
    std::memcpy(layer->bias.get_data_handle(), bias, static_cast<size_t>(outputs) * sizeof(float));
  }
  stream().wait();
  const auto agrees = known_agreeing_shapes(*layer, activation);
  // The whole tile serves what no smaller shape does.
  layer->chosen.fill(kShapes - 1);
  for (size_t shape = kShapes - 1; shape-- > 0;) layer->chosen[shape] = agrees[shape] ? shape : layer->chosen[shape + 1];
  *created = layer.release();
  return NF_SUCCESS;
} catch (...) {
  return nearfar::status_of_failure();
}

void nf_linear_destroy(nf_linear *layer) { delete layer; }

int64_t nf_linear_padded_rows(int64_t rows) { return (rows + kTile - 1) / kTile * kTile; }

int nf_linear_apply(const nf_linear *layer, const float *x, int64_t rows, float *y) try {
  nearfar::stay_on_this_thread();
  nearfar::fail_if_asked();
  for (int64_t done = 0; done < rows; done += kTile) {
    const size_t shape = static_cast<size_t>((std::min(rows - done, kTile) + kStep - 1) / kStep) - 1;
    layer->run(layer->chosen[shape], x + done * layer->inputs, y + done * layer->outputs);
  }
  return 0;
} catch (...) {
  return nearfar::status_of_failure();
}

}  // extern "C"
