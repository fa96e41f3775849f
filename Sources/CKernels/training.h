// Sums of gradients and the steps of optimisers; part of template.h.

// out[c] += Σ_r x[r, c]. Eight rows at a time, so that `out` is read and written less often.
static void NF(add_column_sums)(const float *x, size_t rows, size_t width, float *out) {
  size_t r = 0;
  for (; r + 8 <= rows; r += 8, x += 8 * width) {
    for (size_t i = 0; i < width; i += NF_WIDTH) {
      const size_t left = width - i;
      vf v[8];
      NF_UNROLL for (size_t k = 0; k < 8; k++) v[k] = NF(load_part)(x + k * width + i, left);
      const vf sum = ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
      NF(store_part)(out + i, NF(load_part)(out + i, left) + sum, left);
    }
  }
  for (; r < rows; r++, x += width)
    for (size_t i = 0; i < width; i++) out[i] += x[i];
}

static void NF(add_bias)(const float *bias, size_t rows, size_t width, float *x) {
  for (size_t r = 0; r < rows; r++, x += width)
    for (size_t i = 0; i < width; i++) x[i] += bias[i];
}

static void NF(add_scaled)(const float *x, float scale, size_t count, float *out) {
  for (size_t i = 0; i < count; i++) out[i] += scale * x[i];
}

static void NF(follow)(const float *source, float momentum, size_t count, float *target) {
  const float share = 1 - momentum;
  for (size_t i = 0; i < count; i++) target[i] = momentum * target[i] + share * source[i];
}

static int NF(all_finite)(const float *x, size_t count) {
  // The exponent of infinities and of what is not a number is all ones.
  const uint32_t ones = 0x7f800000u;
  while (count > 0) {
    const size_t size = count < 4096 ? count : 4096;
    uint32_t found = 0;
    for (size_t i = 0; i < size; i++) {
      uint32_t bits;
      memcpy(&bits, x + i, 4);
      found |= (bits & ones) == ones;
    }
    if (found) return 0;
    x += size;
    count -= size;
  }
  return 1;
}

// The operations and their order are those of torch.optim.AdamW without fused instructions, and each is rounded to f32.
static void NF(adamw)(const nf_adamw *step, const float *gradients, size_t count, float *values, float *first,
                      float *second) {
#pragma clang fp contract(off)
  const nf_adamw s = *step;
  for (size_t i = 0; i < count; i += NF_WIDTH) {
    const size_t left = count - i;
    const vf g = NF(load_part)(gradients + i, left) * s.gradient_scale, m0 = NF(load_part)(first + i, left);
    const vf m = m0 + s.first_share * (g - m0);
    const vf v = NF(load_part)(second + i, left) * s.second_keep + s.second_share * g * g;
    const vf root = __builtin_elementwise_sqrt(v) / s.second_root + s.epsilon;
    NF(store_part)(first + i, m, left);
    NF(store_part)(second + i, v, left);
    NF(store_part)(values + i, NF(load_part)(values + i, left) * s.value_keep - s.step_size * m / root, left);
  }
}
