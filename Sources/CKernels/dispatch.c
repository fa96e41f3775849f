// The choice of a variant for this processor, and the sizes of scratch memory.
#include <string.h>

#include "ckernels.h"
#include "matrix_unit.h"

#if defined(__x86_64__)
extern const nf_kernels nf_kernels_baseline, nf_kernels_avx2, nf_kernels_avx512, nf_kernels_avx512_vnni,
    nf_kernels_avx512_bf16, nf_kernels_amx;

static int runs_avx2(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int runs_avx512(void) {
  __builtin_cpu_init();
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static int runs_avx512_vnni(void) {
  __builtin_cpu_init();
  return runs_avx512() && __builtin_cpu_supports("avx512vnni");
}

static int runs_avx512_bf16(void) {
  __builtin_cpu_init();
  return runs_avx512_vnni() && __builtin_cpu_supports("avx512bf16");
}

// A unit that multiplied otherwise than the vector units would be worse than none.
static int runs_amx(void) {
  return runs_avx512_bf16() && nf_matrix_unit_is_usable() &&
         nf_kernels_agree(&nf_kernels_amx, &nf_kernels_avx512_bf16, NF_BF16) &&
         nf_kernels_agree(&nf_kernels_amx, &nf_kernels_avx512_bf16, NF_INT8);
}

const nf_kernels *nf_kernels_named(const char *name) {
  if (strcmp(name, "baseline") == 0) return &nf_kernels_baseline;
  if (strcmp(name, "avx2") == 0 && runs_avx2()) return &nf_kernels_avx2;
  if (strcmp(name, "avx512") == 0 && runs_avx512()) return &nf_kernels_avx512;
  if (strcmp(name, "avx512_vnni") == 0 && runs_avx512_vnni()) return &nf_kernels_avx512_vnni;
  if (strcmp(name, "avx512_bf16") == 0 && runs_avx512_bf16()) return &nf_kernels_avx512_bf16;
  if (strcmp(name, "amx") == 0 && runs_amx()) return &nf_kernels_amx;
  return NULL;
}

const nf_kernels *nf_kernels_active(void) {
  if (runs_amx()) return &nf_kernels_amx;
  if (runs_avx512_bf16()) return &nf_kernels_avx512_bf16;
  if (runs_avx512_vnni()) return &nf_kernels_avx512_vnni;
  if (runs_avx512()) return &nf_kernels_avx512;
  if (runs_avx2()) return &nf_kernels_avx2;
  return &nf_kernels_baseline;
}
#elif defined(__aarch64__)
extern const nf_kernels nf_kernels_neon;

const nf_kernels *nf_kernels_named(const char *name) { return strcmp(name, "neon") == 0 ? &nf_kernels_neon : NULL; }

const nf_kernels *nf_kernels_active(void) { return &nf_kernels_neon; }
#else
extern const nf_kernels nf_kernels_baseline;

const nf_kernels *nf_kernels_named(const char *name) {
  return strcmp(name, "baseline") == 0 ? &nf_kernels_baseline : NULL;
}

const nf_kernels *nf_kernels_active(void) { return &nf_kernels_baseline; }
#endif

// The codes of the chosen rows, in whole groups; the codes of all rows; one row; the keys; and what is known of each
// row (see prune.h).
size_t nf_prune_scratch(size_t count, size_t dimension, size_t degree) {
  const size_t padded = (dimension + 63) / 64 * 64, room = degree + NF_LANES;
  return (room + count) * padded + 4 * padded + 8 * (count + NF_RANKS) + 12 * (count + room) + 64;
}

// One row, padded for the widest variant.
size_t nf_operand_scratch(size_t inputs) { return (inputs + 15) / 16 * 16; }

// The keys and the values of a piece of 512 tokens, padded for the widest panels, 12 queries and their scores, and two
// values for each query (see attention.h).
size_t nf_attention_scratch(size_t length, size_t head_width) {
  const size_t padded = (head_width + 31) / 32 * 32;
  return 512 * (head_width + padded + 12) + 12 * padded + 2 * length;
}

// Two sets of the panels above for a piece of keys and of values, the derivatives by both, 12 queries and their derivatives,
// and what the 12 queries make with the keys, twice (see attention_training.h).
size_t nf_attention_backward_scratch(size_t head_width) {
  const size_t padded = (head_width + 31) / 32 * 32;
  return 512 * (2 * head_width + 3 * padded) + 12 * (2 * (512 + 16) + 3 * padded);
}
