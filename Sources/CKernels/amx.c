// 512-bit vectors, with products of bytes and of bf16 by the matrix unit.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(                                                                                     \
    __attribute__((target(                                                                                        \
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,amx-tile,amx-bf16,amx-int8,avx2,fma"))), \
    apply_to = function)
#define NF_WIDTH 16
#define NF_VNNI
#define NF_DOT_BF16
#define NF_AMX
#define NF_TILE 16
#define NF_VARIANT amx
#define NF_NAME "amx"
#include "template.h"
#pragma clang attribute pop
#endif
