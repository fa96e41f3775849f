// Weights packed for products; part of template.h.
//
// The outputs of a layer are cut into panels of NF_PANEL. A panel holds the biases, scales and offsets of its outputs, and then, for
// the first inputs that are multiplied together, the weights of each output; then those for the next inputs.

#define NF_PANEL (2 * NF_WIDTH)

// The neighbouring inputs whose products are added up by one instruction.
NF_INLINE size_t NF(together)(nf_precision precision) {
  switch (precision) {
#ifdef NF_DOT_BF16
    case NF_BF16: return 2;
#endif
#ifdef NF_VNNI
    case NF_INT8: return 4;
#else
    case NF_INT8: return 2;
#endif
    default: return 1;
  }
}

NF_INLINE size_t NF(weight_bytes)(nf_precision precision) {
  return precision == NF_F32 ? 4 : precision == NF_BF16 ? 2 : 1;
}

// The biases, scales and offsets of a panel.
#define NF_PANEL_HEADER (3 * 4 * NF_PANEL)

// The weights of an output with the zeros behind them, so that the last instruction finds as many as the others.
NF_INLINE size_t NF(padded_inputs)(nf_precision precision, size_t inputs) {
  size_t together = NF(together)(precision);
#ifdef NF_AMX
  if (precision != NF_F32) together *= NF_TILE;
#endif
  return (inputs + together - 1) / together * together;
}

NF_INLINE size_t NF(panel_bytes)(nf_precision precision, size_t inputs) {
  const size_t padded = NF(padded_inputs)(precision, inputs);
  return (NF_PANEL_HEADER + padded * NF_PANEL * NF(weight_bytes)(precision) + 63) / 64 * 64;
}

static size_t NF(dense_panels)(size_t outputs) { return (outputs + NF_PANEL - 1) / NF_PANEL; }

static size_t NF(dense_bytes)(nf_precision precision, size_t inputs, size_t outputs) {
  return NF(dense_panels)(outputs) * NF(panel_bytes)(precision, inputs);
}

NF_INLINE void NF(pack_output)(nf_precision precision, const float *weights, size_t inputs, float *scratch, char *panel,
                               size_t column) {
  const size_t together = NF(together)(precision);
  char *values = panel + NF_PANEL_HEADER;
  float step = 1, inverse = 1;
  if (precision == NF_INT8) {
    NF(rotate)(weights, inputs, scratch);
    weights = scratch;
    float top = 0;
    for (size_t k = 0; k < inputs; k++) top = fabsf(weights[k]) > top ? fabsf(weights[k]) : top;
    // Both sides are √b times too large, where b values are rotated together.
    step = top / 127.0f / (float)NF(rotated)(inputs);
    inverse = top > 1e-30f ? 127.0f / top : 0.0f;
  }
  int32_t sum = 0;
  for (size_t k = 0; k < inputs; k++) {
    const size_t place = k / together * together * NF_PANEL + column * together + k % together;
    if (precision == NF_F32) {
      memcpy(values + 4 * place, weights + k, 4);
    } else if (precision == NF_BF16) {
      const NF(vu) bits = NF(round_bf16)(NF(splat)(weights[k]));
      const uint16_t half = (uint16_t)(bits[0] >> 16);
      memcpy(values + 2 * place, &half, 2);
    } else {
      const int8_t value = (int8_t)lrintf(weights[k] * inverse);
      values[place] = (char)value;
      sum += value;
    }
  }
  memcpy(panel + 4 * (NF_PANEL + column), &step, 4);
  // The bytes that are multiplied are 128 too large.
  const int32_t offset = -128 * sum;
  memcpy(panel + 4 * (2 * NF_PANEL + column), &offset, 4);
}

static void NF(dense_pack)(nf_precision precision, const float *weights, const float *bias, size_t inputs,
                           size_t outputs, float *scratch, void *packed) {
  const size_t bytes = NF(panel_bytes)(precision, inputs);
  memset(packed, 0, NF(dense_bytes)(precision, inputs, outputs));
  for (size_t o = 0; o < outputs; o++) {
    char *panel = (char *)packed + o / NF_PANEL * bytes;
    if (bias) memcpy(panel + 4 * (o % NF_PANEL), bias + o, 4);
    NF(pack_output)(precision, weights + o * inputs, inputs, scratch, panel, o % NF_PANEL);
  }
}
