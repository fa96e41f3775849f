// 512-bit vectors.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define NF_WIDTH 16
#define NF_MADD256
#define NF_VARIANT avx512
#define NF_NAME "avx512"
#include "template.h"
#pragma clang attribute pop
#endif
