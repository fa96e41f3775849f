// 128-bit vectors, which every x86-64 (SSE2) and arm64 (NEON) processor has.
#define NF_WIDTH 4
#if defined(__aarch64__)
#define NF_VARIANT neon
#define NF_NAME "neon"
#else
#define NF_VARIANT baseline
#define NF_NAME "baseline"
#define NF_NO_FMA
#include <emmintrin.h>
#endif
#include "template.h"
