// Norms with what their backward passes need, and these; part of template.h.
//
// With x̂ = (x − mean)/σ and g = dy·gamma, the derivative of LayerNorm by x is (g − mean(g) − x̂·mean(g·x̂))/σ; that of RMSNorm
// is the same without means of x and g.

// Stores the first `left` lanes.
NF_INLINE void NF(store_part)(float *out, vf v, size_t left) {
  if (left >= NF_WIDTH) {
    NF(store)(out, v);
  } else {
    float part[NF_WIDTH];
    NF(store)(part, v);
    memcpy(out, part, left * sizeof(float));
  }
}

// v with 0 in the lanes from `left` on.
NF_INLINE vf NF(first_lanes)(vf v, size_t left) {
  if (left >= NF_WIDTH) return v;
  vi lane;
  for (int i = 0; i < NF_WIDTH; i++) lane[i] = i;
  return (vf)((vi)v & (lane < (int32_t)left));
}

// One row of the sum of `x` and `residual`, and its total in every lane of the result.
NF_INLINE vf NF(sum_row)(const float *x, const float *residual, size_t width, float *sum) {
  vf total = {};
  for (size_t i = 0; i < width; i += NF_WIDTH) {
    vf v = NF(load_part)(x + i, width - i);
    if (residual) v += NF(load_part)(residual + i, width - i);
    NF(store_part)(sum + i, v, width - i);
    total += v;
  }
  return NF(splat)(NF(sum)(total));
}

static void NF(layer_norm_forward)(const float *x, const float *residual, const float *gamma, const float *beta,
                                   float epsilon, size_t rows, size_t width, float *sum, float *statistics, float *out) {
  for (size_t r = 0; r < rows; r++, x += width, sum += width, out += width) {
    const vf mean = NF(sum_row)(x, residual, width, sum) / (float)width;
    if (residual) residual += width;
    vf squares = {};
    for (size_t i = 0; i < width; i += NF_WIDTH) {
      const vf d = NF(first_lanes)(NF(load_part)(sum + i, width - i) - mean, width - i);
      squares = NF(fma)(d, d, squares);
    }
    const float inverse = 1.0f / sqrtf(NF(sum)(squares) / (float)width + epsilon);
    statistics[2 * r] = mean[0];
    statistics[2 * r + 1] = inverse;
    for (size_t i = 0; i < width; i += NF_WIDTH) {
      const vf d = (NF(load_part)(sum + i, width - i) - mean) * inverse;
      const vf shift = beta ? NF(load_part)(beta + i, width - i) : (vf){};
      NF(store_part)(out + i, NF(fma)(d, NF(load_part)(gamma + i, width - i), shift), width - i);
    }
  }
}

static void NF(rms_norm_forward)(const float *x, const float *residual, const float *gamma, float epsilon, size_t rows,
                                 size_t width, float *sum, float *statistics, float *out) {
  for (size_t r = 0; r < rows; r++, x += width, sum += width, out += width) {
    NF(sum_row)(x, residual, width, sum);
    if (residual) residual += width;
    vf squares = {};
    for (size_t i = 0; i < width; i += NF_WIDTH) {
      const vf v = NF(load_part)(sum + i, width - i);
      squares = NF(fma)(v, v, squares);
    }
    const float inverse = 1.0f / sqrtf(NF(sum)(squares) / (float)width + epsilon);
    statistics[r] = inverse;
    for (size_t i = 0; i < width; i += NF_WIDTH)
      NF(store_part)(out + i, NF(load_part)(sum + i, width - i) * inverse * NF(load_part)(gamma + i, width - i), width - i);
  }
}

// Both norms, of one row. `is_centred` is a constant where this is called.
NF_INLINE void NF(norm_row_backward)(int is_centred, const float *dy, const float *x, float mean, float inverse,
                                     const float *gamma, size_t width, float *dx, float *dgamma, float *dbeta) {
  vf sum_g = {}, sum_gx = {};
  for (size_t i = 0; i < width; i += NF_WIDTH) {
    const size_t left = width - i;
    const vf d = NF(load_part)(dy + i, left), g = d * NF(load_part)(gamma + i, left);
    const vf hat = (NF(load_part)(x + i, left) - mean) * inverse;
    if (is_centred) sum_g += g;
    sum_gx = NF(fma)(g, hat, sum_gx);
    NF(store_part)(dgamma + i, NF(fma)(d, hat, NF(load_part)(dgamma + i, left)), left);
    if (dbeta) NF(store_part)(dbeta + i, NF(load_part)(dbeta + i, left) + d, left);
  }
  const float mean_g = is_centred ? NF(sum)(sum_g) / (float)width : 0, mean_gx = NF(sum)(sum_gx) / (float)width;
  for (size_t i = 0; i < width; i += NF_WIDTH) {
    const size_t left = width - i;
    const vf g = NF(load_part)(dy + i, left) * NF(load_part)(gamma + i, left);
    const vf hat = (NF(load_part)(x + i, left) - mean) * inverse;
    NF(store_part)(dx + i, (NF(fma)(-hat, NF(splat)(mean_gx), g) - mean_g) * inverse, left);
  }
}

static void NF(layer_norm_backward)(const float *dy, const float *x, const float *statistics, const float *gamma,
                                    size_t rows, size_t width, float *dx, float *dgamma, float *dbeta) {
  for (size_t r = 0; r < rows; r++)
    NF(norm_row_backward)(1, dy + r * width, x + r * width, statistics[2 * r], statistics[2 * r + 1], gamma, width,
                          dx + r * width, dgamma, dbeta);
}

static void NF(rms_norm_backward)(const float *dy, const float *x, const float *statistics, const float *gamma,
                                  size_t rows, size_t width, float *dx, float *dgamma) {
  for (size_t r = 0; r < rows; r++)
    NF(norm_row_backward)(0, dy + r * width, x + r * width, 0, statistics[r], gamma, width, dx + r * width, dgamma, NULL);
}
