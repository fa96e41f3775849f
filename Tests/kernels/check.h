// What both files of checks use: comparisons, numbers and memory.
#ifndef NEARFAR_CHECK_H
#define NEARFAR_CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckernels.h"

extern int passed, failed;
extern const nf_kernels *k;

// Compares the kernels of training (training_check.c).
void training(void);

static inline void check(int holds, const char *what, size_t a, size_t b, double found, double expected) {
  if (holds) {
    passed++;
  } else {
    failed++;
    printf("%s (%zu, %zu): %.9g, expected %.9g\n", what, a, b, found, expected);
  }
}

static inline void near(const char *what, size_t a, size_t b, double found, double expected, double tolerance) {
  check(fabs(found - expected) <= tolerance * (1 + fabs(expected)), what, a, b, found, expected);
}

// A number from −1 to 1, the same in every run.
extern uint64_t state;
static inline float number(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (float)((double)(state >> 11) / 4503599627370496.0 - 1.0);
}

static inline float *numbers(size_t count) {
  float *values = malloc((count + 1) * sizeof(float));
  if (!values) exit(2);
  for (size_t i = 0; i < count; i++) values[i] = number();
  return values;
}

static inline void *room(size_t bytes) {
  void *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
  if (!memory) exit(2);
  return memory;
}

#define EACH(list, i) for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)

#endif
