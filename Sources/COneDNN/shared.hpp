// What the shims share: one engine, a stream and a scratchpad for each thread.
#ifndef NEARFAR_ONEDNN_SHARED_HPP
#define NEARFAR_ONEDNN_SHARED_HPP

#include <oneapi/dnnl/dnnl.hpp>

#include "conednn.h"

namespace nearfar {

dnnl::engine &engine();
dnnl::stream &stream();

// Every call begins with this. Debian's oneDNN runs on OpenMP, whose thread count is a setting of each calling thread.
void stay_on_this_thread();

// Throws what a test has asked for with nf_fail_next.
void fail_if_asked();

// This thread's scratch memory; the library's own is not safe for one primitive on several threads.
dnnl::memory scratchpad(const dnnl::memory::desc &needed);

// The status of the exception that is being handled; to be called from a handler.
int status_of_failure() noexcept;

// left·right (+ bias), with what follows it; `bias` may be empty.
dnnl::matmul::primitive_desc describe_product(const dnnl::memory::desc &left, const dnnl::memory::desc &right,
                                              const dnnl::memory::desc &bias, const dnnl::memory::desc &out,
                                              const dnnl::post_ops &then);

}  // namespace nearfar

#endif
