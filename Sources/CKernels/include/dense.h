// Dense layers, y = activation(x·Wᵀ + bias), in three precisions.
#ifndef NEARFAR_DENSE_H
#define NEARFAR_DENSE_H

#include <stddef.h>
#include <stdint.h>

// How the two sides of a product are stored. Sums are in f32 for the first two, and exact in 32-bit integers for int8.
typedef enum nf_precision {
  NF_F32 = 0,
  // Both sides are rounded to bf16, the upper half of an f32.
  NF_BF16 = 1,
  // Weights have one scale per output, activations one per row; both are symmetric, from −127 to 127. Both sides are
  // rotated first, so that no single value makes a scale large (see operands.h).
  NF_INT8 = 2
} nf_precision;

typedef enum nf_activation { NF_IDENTITY = 0, NF_GELU_ERF = 1, NF_GELU_TANH = 2, NF_RELU = 3 } nf_activation;

// A layer whose weights have been packed by the variant that uses it. Outputs are packed in panels, as many as fit two
// vectors; a panel begins with the biases, the scales and the offsets of its outputs, and is padded with zeros.
typedef struct nf_dense {
  nf_precision precision;
  nf_activation activation;
  size_t inputs, outputs;
  const void *panels;
} nf_dense;

#endif
