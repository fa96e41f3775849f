// The entry of libFuzzer, which the compiler's runtime brings along without a header.
#ifndef CFUZZER_H
#define CFUZZER_H

#include <stddef.h>
#include <stdint.h>

// Runs the fuzzer with its command line, and returns its exit status. `test` is called with one input at a time.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*test)(const uint8_t *bytes, size_t count));

#endif
