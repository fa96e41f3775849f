// See matrix_unit.c.
#ifndef NF_MATRIX_UNIT_H
#define NF_MATRIX_UNIT_H

#include "ckernels.h"

// Whether the processor has AMX and the system lets this process use it, which this asks for.
int nf_matrix_unit_is_usable(void);

// Whether both variants multiply a layer of small integers to the same bits; 0 also where there is no memory for it.
int nf_kernels_agree(const nf_kernels *one, const nf_kernels *other, nf_precision precision);

#endif
