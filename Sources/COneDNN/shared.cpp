#include "shared.hpp"

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl_debug.h>

#include <new>
#include <string>
#include <vector>

namespace nearfar {

dnnl::engine &engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream &stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

void stay_on_this_thread() {
  thread_local bool done = false;
  if (done) return;
  done = true;
  using Setter = void (*)(int);
  if (auto set = reinterpret_cast<Setter>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"))) set(1);
}

dnnl::memory scratchpad(const dnnl::memory::desc &needed) {
  thread_local std::vector<char> bytes;
  if (bytes.size() < needed.get_size()) bytes.resize(needed.get_size());
  return dnnl::memory(needed, engine(), bytes.data());
}

int status_of_failure() noexcept {
  try {
    throw;
  } catch (const dnnl::error &failure) {
    return failure.status;
  } catch (const std::bad_alloc &) {
    return dnnl_out_of_memory;
  } catch (...) {
    return dnnl_runtime_error;
  }
}

dnnl::matmul::primitive_desc describe_product(const dnnl::memory::desc &left, const dnnl::memory::desc &right,
                                              const dnnl::memory::desc &bias, const dnnl::memory::desc &out) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
  return dnnl::matmul::primitive_desc(engine(), left, right, bias, out, attributes);
#else
  return dnnl::matmul::primitive_desc(dnnl::matmul::desc(left, right, bias, out), attributes, engine());
#endif
}

}  // namespace nearfar

static_assert(int{NF_SUCCESS} == int{dnnl_success} && int{NF_OUT_OF_MEMORY} == int{dnnl_out_of_memory} &&
              int{NF_NOT_SUPPORTED} == int{dnnl_unimplemented});

extern "C" const char *nf_onednn_status_name(int status) {
  return dnnl_status2str(static_cast<dnnl_status_t>(status));
}

extern "C" const char *nf_onednn_description(void) {
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
