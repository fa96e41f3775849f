// Activation functions of whole vectors; part of template.h.

// erf(x), with an error of at most 4e-7: a quotient of polynomials in x², fitted to have the smallest largest error on
// [−4, 4]; beyond, erf differs from ±1 by less than 2e-8.
NF_INLINE vf NF(erf)(vf x) {
  x = NF(max)(__builtin_elementwise_min(x, NF(splat)(4.0f)), NF(splat)(-4.0f));
  const vf t = x * x;
  vf p = NF(splat)(1.974832457563025e-06f);
  p = NF(fma)(p, t, NF(splat)(0.0002880421234294772f));
  p = NF(fma)(p, t, NF(splat)(0.004003658890724182f));
  p = NF(fma)(p, t, NF(splat)(0.0534675158560276f));
  p = NF(fma)(p, t, NF(splat)(0.19624921679496765f));
  p = NF(fma)(p, t, NF(splat)(1.128378987312317f));
  vf q = NF(splat)(3.748092785826884e-05f);
  q = NF(fma)(q, t, NF(splat)(0.0012163639767095447f));
  q = NF(fma)(q, t, NF(splat)(0.015444445423781872f));
  q = NF(fma)(q, t, NF(splat)(0.11647652834653854f));
  q = NF(fma)(q, t, NF(splat)(0.5072525143623352f));
  q = NF(fma)(q, t, NF(splat)(1.0f));
  return x * p / q;
}

// x·Φ(x) (Hendrycks & Gimpel 2016, arXiv 1606.08415).
NF_INLINE vf NF(gelu)(vf x) {
  const vf half = x * 0.5f;
  return NF(fma)(half, NF(erf)(x * 0.70710678118654752f), half);
}

// The same with an error of at most 5e-5 + 2e-6·|x|, in half the time: for results that are rounded to bf16 or int8.
// erf(x/√2) is x times a polynomial in x², fitted to have the smallest largest error of the result on [−4.25, 4.25], and
// to reach 1 at its end.
NF_INLINE vf NF(gelu_rounded)(vf x) {
  const vf c = NF(larger)(NF(splat)(-4.25f), -NF(larger)(-x, NF(splat)(-4.25f))), t = c * c;
  vf p = NF(splat)(9.10526029573866e-11f);
  p = NF(fma)(p, t, NF(splat)(-9.019941238364027e-09f));
  p = NF(fma)(p, t, NF(splat)(3.9620675806872896e-07f));
  p = NF(fma)(p, t, NF(splat)(-1.026428617478814e-05f));
  p = NF(fma)(p, t, NF(splat)(0.0001765249908203259f));
  p = NF(fma)(p, t, NF(splat)(-0.0021545563358813524f));
  p = NF(fma)(p, t, NF(splat)(0.01942240260541439f));
  p = NF(fma)(p, t, NF(splat)(-0.13235032558441162f));
  p = NF(fma)(p, t, NF(splat)(0.7976177334785461f));
  const vf half = x * 0.5f;
  return NF(fma)(half, c * p, half);
}

// x·σ(u). exp takes −|u| only, so that it never overflows.
NF_INLINE vf NF(times_sigmoid)(vf x, vf u) {
  const vi negative = u < 0;
  const vf e = NF(exp)(-NF(max)(u, -u));
  const vf over = (vf)(((vi)e & negative) | ((vi)NF(splat)(1.0f) & ~negative));
  return x * over / (e + 1.0f);
}

// The approximation of it by tanh: x·(1 + tanh u)/2 = x·σ(2u) with u = √(2/π)·(x + 0.044715·x³).
NF_INLINE vf NF(gelu_tanh)(vf x) {
  const vf u = x * NF(fma)(x * x, NF(splat)(0.0356774081f), NF(splat)(0.7978845608f));
  return NF(times_sigmoid)(x, u * 2.0f);
}

// x·σ(x) (Elfwing et al. 2017, arXiv 1702.03118).
NF_INLINE vf NF(silu)(vf x) { return NF(times_sigmoid)(x, x); }

NF_INLINE vf NF(activate)(vf x, nf_activation activation) {
  switch (activation) {
    case NF_GELU_ERF: return NF(gelu)(x);
    case NF_GELU_ROUNDED: return NF(gelu_rounded)(x);
    case NF_GELU_TANH: return NF(gelu_tanh)(x);
    case NF_SILU: return NF(silu)(x);
    case NF_RELU: return NF(max)(x, NF(splat)(0.0f));
    default: return x;
  }
}

static void NF(activate_row)(float *x, size_t count, nf_activation activation) {
  for (size_t i = 0; i < count; i += NF_WIDTH) {
    float part[NF_WIDTH] = {0};
    const size_t size = count - i < NF_WIDTH ? count - i : NF_WIDTH;
    memcpy(part, x + i, size * sizeof(float));
    NF(store)(part, NF(activate)(NF(load)(part), activation));
    memcpy(x + i, part, size * sizeof(float));
  }
}

// out[r, i] = activation(x[r, i])·x[r, width + i].
static void NF(gate_rows)(const float *x, size_t rows, size_t width, nf_activation activation, float *out) {
  for (size_t r = 0; r < rows; r++, x += 2 * width, out += width) {
    size_t i = 0;
    for (; i + NF_WIDTH <= width; i += NF_WIDTH)
      NF(store)(out + i, NF(activate)(NF(load)(x + i), activation) * NF(load)(x + width + i));
    if (i == width) continue;
    float part[2][NF_WIDTH] = {{0}};
    memcpy(part[0], x + i, (width - i) * sizeof(float));
    memcpy(part[1], x + width + i, (width - i) * sizeof(float));
    NF(store)(part[0], NF(activate)(NF(load)(part[0]), activation) * NF(load)(part[1]));
    memcpy(out + i, part[0], (width - i) * sizeof(float));
  }
}
