// What the files of this target share: one engine, and a stream and a scratchpad for each thread.
#ifndef NEARFAR_ONEDNN_SHARED_HPP
#define NEARFAR_ONEDNN_SHARED_HPP

#include <oneapi/dnnl/dnnl.hpp>

#include "conednn.h"

namespace nearfar {

dnnl::engine &engine();
dnnl::stream &stream();

// Makes the library run on the calling thread alone; every call begins with this. Debian's oneDNN uses OpenMP, whose
// number of threads is a setting of each calling thread.
void stay_on_this_thread();

// Scratch memory of this thread. The library's own is not safe when one primitive runs on several threads.
dnnl::memory scratchpad(const dnnl::memory::desc &needed);

// The status of the exception that is being handled. To be called from a handler only.
int status_of_failure() noexcept;

// Describes the product left·right (+ bias); `bias` may be empty.
dnnl::matmul::primitive_desc describe_product(const dnnl::memory::desc &left, const dnnl::memory::desc &right,
                                              const dnnl::memory::desc &bias, const dnnl::memory::desc &out);

}  // namespace nearfar

#endif
