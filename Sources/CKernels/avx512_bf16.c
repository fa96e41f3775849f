// 512-bit vectors, with products of bytes (VNNI) and of bf16.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma"))), apply_to = function)
#define NF_WIDTH 16
#define NF_VNNI
#define NF_DOT_BF16
#define NF_VARIANT avx512_bf16
#define NF_NAME "avx512_bf16"
#include "template.h"
#pragma clang attribute pop
#endif
