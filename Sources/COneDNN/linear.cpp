#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "conednn.h"

namespace {

using dnnl::memory;

// Rows go through in tiles of 64 and a tail rounded up to 8: nine shapes cover every batch, and at 8 rows the product
// already runs within a tenth of its peak.
constexpr int64_t kTile = 64;
constexpr int64_t kStep = 8;

dnnl::engine &engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream &stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

// Debian's oneDNN runs on OpenMP, whose thread count is a setting of each calling thread.
void stay_on_this_thread() {
  thread_local bool done = false;
  if (done) return;
  done = true;
  using Setter = void (*)(int);
  if (auto set = reinterpret_cast<Setter>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"))) set(1);
}

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

void explain(char *error, size_t size, const char *what) {
  if (error && size) std::snprintf(error, size, "%s", what);
}

}  // namespace

struct nf_linear {
  int64_t inputs = 0, outputs = 0;
  memory packed, bias;
  bool has_bias = false;
  // One product for each row count that is a multiple of kStep up to kTile; the packed weights serve them all.
  std::vector<dnnl::matmul> products;
  std::vector<dnnl::matmul::primitive_desc> descriptions;

  dnnl::matmul::primitive_desc describe(int64_t rows, const memory::desc &weights, nf_activation activation) const {
    const auto f32 = memory::data_type::f32;
    const auto rowwise = memory::format_tag::ab;
    memory::desc x({rows, inputs}, f32, rowwise), y({rows, outputs}, f32, rowwise);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(activation_of(activation));
    // The library's own scratchpad is not safe for one primitive on several threads.
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    memory::desc b = has_bias ? memory::desc({1, outputs}, f32, rowwise) : memory::desc();
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::matmul::primitive_desc(engine(), x, weights, b, y, attributes);
#else
    return dnnl::matmul::primitive_desc(dnnl::matmul::desc(x, weights, b, y), attributes, engine());
#endif
  }

  void run(int64_t rows, const float *x, float *y) const {
    const size_t index = static_cast<size_t>(rows / kStep - 1);
    const auto &description = descriptions[index];
    thread_local std::vector<char> scratch;
    const size_t needed = description.scratchpad_desc().get_size();
    if (scratch.size() < needed) scratch.resize(needed);
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, memory(description.src_desc(), engine(), const_cast<float *>(x))},
        {DNNL_ARG_WEIGHTS, packed},
        {DNNL_ARG_DST, memory(description.dst_desc(), engine(), y)},
        {DNNL_ARG_SCRATCHPAD, memory(description.scratchpad_desc(), engine(), scratch.data())}};
    if (has_bias) arguments.insert({DNNL_ARG_BIAS, bias});
    products[index].execute(stream(), arguments);
    stream().wait();
  }
};

extern "C" {

nf_linear *nf_linear_create(int64_t inputs, int64_t outputs, const float *weights, const float *bias,
                            nf_activation activation, char *error, size_t error_size) try {
  stay_on_this_thread();
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
  return layer.release();
} catch (const std::exception &failure) {
  explain(error, error_size, failure.what());
  return nullptr;
}

void nf_linear_destroy(nf_linear *layer) { delete layer; }

int64_t nf_linear_padded_rows(int64_t rows) { return (rows + kStep - 1) / kStep * kStep; }

int nf_linear_apply(const nf_linear *layer, const float *x, int64_t rows, float *y) try {
  stay_on_this_thread();
  int64_t done = 0;
  for (; rows - done >= kTile; done += kTile) layer->run(kTile, x + done * layer->inputs, y + done * layer->outputs);
  if (done < rows) {
    layer->run(nf_linear_padded_rows(rows - done), x + done * layer->inputs, y + done * layer->outputs);
  }
  return 0;
} catch (const std::exception &) {
  return 1;
}

int nf_product_transposed(const float *left, int64_t rows, const float *right, int64_t columns, int64_t inner,
                          float *products, int64_t stride) {
  stay_on_this_thread();
  return dnnl_sgemm('N', 'T', rows, columns, inner, 1.f, left, inner, right, inner, 0.f, products, stride) !=
         dnnl_success;
}

int nf_product_accumulate(const float *weights, int64_t count, int64_t stride, const float *rows, int64_t inner,
                          int64_t columns, float *out) {
  stay_on_this_thread();
  return dnnl_sgemm('N', 'N', count, columns, inner, 1.f, weights, stride, rows, columns, 1.f, out, columns) !=
         dnnl_success;
}

int nf_product_transposed_accumulate(const float *weights, int64_t count, int64_t stride, const float *rows,
                                     int64_t inner, int64_t columns, float *out) {
  stay_on_this_thread();
  return dnnl_sgemm('T', 'N', count, columns, inner, 1.f, weights, stride, rows, columns, 1.f, out, columns) !=
         dnnl_success;
}

const char *nf_onednn_description(void) {
  static const std::string text = [] {
    const dnnl_version_t *v = dnnl_version();
    const char *isa = "generic";
#if defined(__x86_64__)
    switch (dnnl_get_effective_cpu_isa()) {
      case dnnl_cpu_isa_sse41: isa = "sse41"; break;
      case dnnl_cpu_isa_avx: isa = "avx"; break;
      case dnnl_cpu_isa_avx2: isa = "avx2"; break;
      case dnnl_cpu_isa_avx512_core: isa = "avx512_core"; break;
      case dnnl_cpu_isa_avx512_core_vnni: isa = "avx512_core_vnni"; break;
      case dnnl_cpu_isa_avx512_core_bf16: isa = "avx512_core_bf16"; break;
      case dnnl_cpu_isa_avx512_core_amx: isa = "avx512_core_amx"; break;
      default: isa = "x86-64"; break;
    }
#endif
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch) + " " + isa;
  }();
  return text.c_str();
}

}  // extern "C"
