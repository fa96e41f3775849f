// Which values dropout sets to zero (Srivastava et al. 2014).
#ifndef NEARFAR_DROPOUT_MASK_H
#define NEARFAR_DROPOUT_MASK_H

#include <stdint.h>

// The mask of one place of a model for one text. It is a function of these four and of a value's index, so that a second
// forward pass and the backward pass find it again.
typedef struct nf_dropout {
  uint64_t seed;
  // Differs for every text of a training run.
  uint64_t serial;
  // The place in the model.
  uint32_t site;
  // What share of the values becomes 0; the others are multiplied by 1/(1 − probability).
  float probability;
} nf_dropout;

#endif
