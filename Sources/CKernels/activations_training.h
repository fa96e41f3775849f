// Derivatives of activation functions, and gates; part of template.h.

// An activation function of x and its derivative.
typedef struct NF(slope) {
  vf value, slope;
} NF(slope);

// x, or the nearer of ±limit. What is not a number stays so.
NF_INLINE vf NF(clamp)(vf x, float limit) {
  const vf low = NF(splat)(-limit);
  return -NF(larger)(low, -NF(larger)(low, x));
}

// Φ(x) + x·φ(x), where φ is the density of the standard normal distribution. At ±16 the density is 0 in f32 already.
NF_INLINE NF(slope) NF(gelu_slope)(vf x) {
  const vf c = NF(clamp)(x, 16), phi = NF(fma)(NF(erf)(x * 0.70710678118654752f), NF(splat)(0.5f), NF(splat)(0.5f));
  const vf density = NF(exp)(c * c * -0.5f) * 0.39894228040143268f;
  return (NF(slope)){x * phi, NF(fma)(c, density, phi)};
}

// The derivative of v(x)·σ(u(x)) with v(x) = x: σ(u) + x·σ(u)·(1 − σ(u))·u′. With e = exp(−|u|), σ(u)·(1 − σ(u)) is
// e/(1 + e)². `x` and `du` must be finite where e is not 0.
NF_INLINE vf NF(sigmoid_slope)(vf x, vf u, vf du) {
  const vi negative = u < 0;
  const vf e = NF(exp)(-NF(max)(u, -u)), inverse = 1.0f / (e + 1.0f);
  const vf sigmoid = (vf)(((vi)e & negative) | ((vi)NF(splat)(1.0f) & ~negative)) * inverse;
  return NF(fma)(x * du, e * inverse * inverse, sigmoid);
}

NF_INLINE NF(slope) NF(gelu_tanh_slope)(vf x) {
  // Beyond ±16 e is 0, and powers of x would overflow.
  const vf c = NF(clamp)(x, 16), square = c * c;
  const vf u = c * NF(fma)(square, NF(splat)(2 * 0.0356774081f), NF(splat)(2 * 0.7978845608f));
  const vf du = NF(fma)(square, NF(splat)(6 * 0.0356774081f), NF(splat)(2 * 0.7978845608f));
  return (NF(slope)){NF(gelu_tanh)(x), NF(sigmoid_slope)(c, u, du)};
}

NF_INLINE NF(slope) NF(silu_slope)(vf x) {
  const vf c = NF(clamp)(x, 100);
  return (NF(slope)){NF(silu)(x), NF(sigmoid_slope)(c, c, NF(splat)(1.0f))};
}

NF_INLINE NF(slope) NF(activation_slope)(vf x, nf_activation activation) {
  switch (activation) {
    case NF_GELU_ERF:
    case NF_GELU_ROUNDED: return NF(gelu_slope)(x);
    case NF_GELU_TANH: return NF(gelu_tanh_slope)(x);
    case NF_SILU: return NF(silu_slope)(x);
    // The derivative at 0 is 0.
    case NF_RELU: return (NF(slope)){NF(max)(x, NF(splat)(0.0f)), (vf)((vi)NF(splat)(1.0f) & (x > 0))};
    default: return (NF(slope)){x, NF(splat)(1.0f)};
  }
}

// One loop for each activation.
#define NF_EACH_ACTIVATION(CASE) \
  CASE(NF_IDENTITY) CASE(NF_GELU_ERF) CASE(NF_GELU_TANH) CASE(NF_RELU) CASE(NF_SILU) CASE(NF_GELU_ROUNDED)

static void NF(activation_forward)(const float *x, size_t count, nf_activation activation, float *out) {
#define NF_CASE(KIND)                                                                                     \
  case KIND:                                                                                              \
    for (size_t i = 0; i < count; i += NF_WIDTH)                                                          \
      NF(store_part)(out + i, NF(activate)(NF(load_part)(x + i, count - i), KIND), count - i);            \
    break;
  switch (activation) { NF_EACH_ACTIVATION(NF_CASE) }
#undef NF_CASE
}

static void NF(activation_backward)(const float *dy, const float *x, size_t count, nf_activation activation, float *dx) {
#define NF_CASE(KIND)                                                                                     \
  case KIND:                                                                                              \
    for (size_t i = 0; i < count; i += NF_WIDTH) {                                                        \
      const vf slope = NF(activation_slope)(NF(load_part)(x + i, count - i), KIND).slope;                 \
      NF(store_part)(dx + i, NF(load_part)(dy + i, count - i) * slope, count - i);                        \
    }                                                                                                     \
    break;
  switch (activation) { NF_EACH_ACTIVATION(NF_CASE) }
#undef NF_CASE
}

// Of activation(a)·b, where a row of x has a and then b.
static void NF(gate_backward)(const float *dy, const float *x, size_t rows, size_t width, nf_activation activation,
                              float *dx) {
#define NF_CASE(KIND)                                                                                     \
  case KIND:                                                                                              \
    for (size_t r = 0; r < rows; r++, dy += width, x += 2 * width, dx += 2 * width) {                     \
      for (size_t i = 0; i < width; i += NF_WIDTH) {                                                      \
        const size_t left = width - i;                                                                    \
        const NF(slope) f = NF(activation_slope)(NF(load_part)(x + i, left), KIND);                       \
        const vf d = NF(load_part)(dy + i, left), b = NF(load_part)(x + width + i, left);                 \
        NF(store_part)(dx + i, d * b * f.slope, left);                                                    \
        NF(store_part)(dx + width + i, d * f.value, left);                                                \
      }                                                                                                   \
    }                                                                                                     \
    break;
  switch (activation) { NF_EACH_ACTIVATION(NF_CASE) }
#undef NF_CASE
}
#undef NF_EACH_ACTIVATION
