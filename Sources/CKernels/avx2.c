// 256-bit vectors with fused multiply-add.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define NF_WIDTH 8
#define NF_MADD256
#define NF_VARIANT avx2
#define NF_NAME "avx2"
#include "template.h"
#pragma clang attribute pop
#endif
