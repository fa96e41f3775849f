// Dense layers, y = activation(x·Wᵀ + bias), in three precisions.
#ifndef NEARFAR_DENSE_H
#define NEARFAR_DENSE_H

#include <stddef.h>
#include <stdint.h>

#include "dropout_mask.h"

// How the two sides of a product are stored. Sums are in f32 for the first two, and exact in 32-bit integers for int8.
typedef enum nf_precision {
  NF_F32 = 0,
  // Both sides are rounded to bf16, the upper half of an f32.
  NF_BF16 = 1,
  // Weights have one scale per output, activations one per row; both are symmetric, from −127 to 127. Both sides are
  // rotated first, so that no single value makes a scale large (see operands.h).
  NF_INT8 = 2
} nf_precision;

typedef enum nf_activation {
  NF_IDENTITY = 0,
  NF_GELU_ERF = 1,
  NF_GELU_TANH = 2,
  NF_RELU = 3,
  NF_SILU = 4,
  // NF_GELU_ERF with a larger error, for results that are rounded.
  NF_GELU_ROUNDED = 5
} nf_activation;

// A layer whose weights have been packed by the variant that uses it. Outputs are packed in panels, as many as fit two
// vectors; a panel begins with the biases, the scales and the offsets of its outputs, and is padded with zeros.
typedef struct nf_dense {
  nf_precision precision;
  nf_activation activation;
  size_t inputs, outputs;
  // The bytes from one row of the left side to the next.
  size_t stride;
  const void *panels;
} nf_dense;

// Self-attention of one sequence (Vaswani et al. 2017, section 3.2): softmax(Q·Kᵀ·scale + bias)·V for each head.
typedef struct nf_attention {
  // Below f32, queries, keys, values and weights are rounded to bf16 where the processor multiplies it.
  nf_precision precision;
  size_t length;
  // The heads of the queries, and those of the keys and values, which `heads / key_heads` neighbouring heads share
  // (Ainslie et al. 2023, arXiv 2305.13245).
  size_t heads, key_heads;
  size_t head_width;
  float scale;
  // How many tokens before and after it a query sees besides its own; SIZE_MAX for all.
  size_t before, after;
  // What is added to the scores, divided by `scale`: bias[h·(2·longest − 1) + longest − 1 + key − query], where no
  // sequence has more than `longest` tokens; NULL for nothing.
  const float *bias;
  size_t longest;
  // For training, in f32 only: the mask of the weights, NULL for none, and where the logarithm of the sum of each query's
  // exponentials goes, [heads, length], NULL for nowhere. The weight of a query and a key has the index
  // (head·length + query)·(length rounded up to a multiple of 16) + key in the mask.
  const nf_dropout *dropout;
  float *log_sums;
} nf_attention;

#endif
