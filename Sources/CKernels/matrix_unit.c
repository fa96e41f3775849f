// Whether the matrix unit may be used, and whether it multiplies as the vector units do.
#if defined(__x86_64__)
#define _DEFAULT_SOURCE  // for syscall()
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include "ckernels.h"
#include "matrix_unit.h"
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

// Linux keeps the tiles of a process that has asked for it only (Documentation/arch/x86/xstate.rst).
static int is_permitted(void) {
#if defined(__linux__)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
  return 0;
#endif
}

int nf_matrix_unit_is_usable(void) {
  unsigned a, b, c, d;
  // Function 7: AMX with bf16, tiles and int8. Function 1: whether the system keeps states of registers, and may tell which.
  const unsigned amx = 1u << 22 | 1u << 24 | 1u << 25, keeps_states = 1u << 27;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & keeps_states)) return 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & amx) != amx) return 0;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  const unsigned tiles = 1u << 17 | 1u << 18;
  return (low & tiles) == tiles && is_permitted();
}

int nf_kernels_agree(const nf_kernels *one, const nf_kernels *other, nf_precision precision) {
  // Several blocks of rows with a rest, inputs that are not whole tiles, and part of a panel.
  enum { ROWS = 45, INPUTS = 200, OUTPUTS = 70 };
  const nf_kernels *sides[2] = {one, other};
  float *x = malloc(ROWS * INPUTS * sizeof(float)), *weights = malloc(OUTPUTS * INPUTS * sizeof(float));
  float *results[2] = {NULL, NULL}, *scratch = malloc(nf_operand_scratch(INPUTS) * sizeof(float));
  int is_complete = x && weights && scratch;
  // Small integers, whose sums are exact in any order.
  for (size_t i = 0; is_complete && i < ROWS * INPUTS; i++) x[i] = (float)(i * 7 % 31) - 15;
  for (size_t i = 0; is_complete && i < OUTPUTS * INPUTS; i++) weights[i] = (float)(i * 5 % 23) - 11;
  for (int side = 0; side < 2 && is_complete; side++) {
    const nf_kernels *k = sides[side];
    const size_t stride = k->operand_stride(precision, INPUTS);
    void *packed = aligned_alloc(64, (k->dense_bytes(precision, INPUTS, OUTPUTS) + 63) / 64 * 64);
    void *left = aligned_alloc(64, (ROWS * stride + 63) / 64 * 64);
    results[side] = malloc(ROWS * OUTPUTS * sizeof(float));
    is_complete = packed && left && results[side];
    if (is_complete) {
      k->dense_pack(precision, weights, NULL, INPUTS, OUTPUTS, scratch, packed);
      k->operand_rows(precision, x, ROWS, INPUTS, scratch, left);
      const nf_dense layer = {precision, NF_IDENTITY, INPUTS, OUTPUTS, stride, packed};
      k->dense_rows(&layer, left, ROWS, 0, k->dense_panels(OUTPUTS), results[side]);
    }
    free(packed);
    free(left);
  }
  const int is_equal = is_complete && memcmp(results[0], results[1], ROWS * OUTPUTS * sizeof(float)) == 0;
  free(x);
  free(weights);
  free(scratch);
  free(results[0]);
  free(results[1]);
  return is_equal;
}
#endif
