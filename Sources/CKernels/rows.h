// Passes over one row of logits, which is in cache; part of template.h.

static void NF(scale_row)(float *z, const float *column_scale, float scale, size_t count) {
  const vf scale_v = NF(splat)(scale);
  size_t j = 0;
  if (column_scale) {
    for (; j + NF_WIDTH <= count; j += NF_WIDTH)
      NF(store)(z + j, NF(load)(z + j) * scale_v * NF(load)(column_scale + j));
    for (; j < count; j++) z[j] = z[j] * scale * column_scale[j];
  } else {
    for (; j + NF_WIDTH <= count; j += NF_WIDTH) NF(store)(z + j, NF(load)(z + j) * scale_v);
    for (; j < count; j++) z[j] *= scale;
  }
}

static float NF(exponentiate_row)(float *z, size_t count, double *sum, double *weighted) {
  float top = -FLT_MAX;
  vf top_v = NF(splat)(-FLT_MAX);
  size_t j = 0;
  for (; j + NF_WIDTH <= count; j += NF_WIDTH) top_v = NF(max)(top_v, NF(load)(z + j));
  if (j > 0) top = NF(largest)(top_v);
  const size_t whole = j;
  for (; j < count; j++) top = z[j] > top ? z[j] : top;
  // Here exp gives 0 already. Differences are raised to this value, so that their products with exp are 0, and not 0·∞.
  const float floor_u = -100.0f;
  const vf top_all = NF(splat)(top), floor_v = NF(splat)(floor_u);
  vd sum_v = {}, weighted_v = {};
  for (j = 0; j < whole;) {
    const size_t end = whole - j > NF_RUN * NF_WIDTH ? j + NF_RUN * NF_WIDTH : whole;
    vf sum_run = {}, weighted_run = {};
    for (; j < end; j += NF_WIDTH) {
      vf u = NF(max)(NF(load)(z + j) - top_all, floor_v);
      vf e = NF(exp)(u);
      NF(store)(z + j, e);
      sum_run += e;
      weighted_run = NF(fma)(e, u, weighted_run);
    }
    sum_v += __builtin_convertvector(sum_run, vd);
    weighted_v += __builtin_convertvector(weighted_run, vd);
  }
  *sum = NF(sum_f64)(&sum_v);
  *weighted = NF(sum_f64)(&weighted_v);
  for (; j < count; j++) {
    float u = z[j] - top;
    u = u > floor_u ? u : floor_u;
    float e = u > -87.0f ? expf(u) : 0.0f;
    z[j] = e;
    *sum += (double)e;
    *weighted += (double)e * (double)u;
  }
  return top;
}

// log(1 + u) for 0 ≤ u ≤ 1, as 2·artanh(s) with s = u / (2 + u) ≤ 1/3; the first omitted term of the series is below
// 1e-9.
NF_INLINE vf NF(log1p_unit)(vf u) {
  vf s = u / (u + NF(splat)(2.0f)), q = s * s;
  vf p = NF(splat)(2.0f / 15.0f);
  p = NF(fma)(p, q, NF(splat)(2.0f / 13.0f));
  p = NF(fma)(p, q, NF(splat)(2.0f / 11.0f));
  p = NF(fma)(p, q, NF(splat)(2.0f / 9.0f));
  p = NF(fma)(p, q, NF(splat)(2.0f / 7.0f));
  p = NF(fma)(p, q, NF(splat)(2.0f / 5.0f));
  p = NF(fma)(p, q, NF(splat)(2.0f / 3.0f));
  p = NF(fma)(p, q, NF(splat)(2.0f));
  return p * s;
}

static void NF(sigmoid_row)(float *z, float bias, size_t count, double *loss, double *sum, double *weighted) {
  const vf bias_v = NF(splat)(bias), zero = NF(splat)(0.0f), one = NF(splat)(1.0f);
  vd loss_v = {}, sum_v = {}, weighted_v = {};
  size_t j = 0;
  for (; j + NF_WIDTH <= count; j += NF_WIDTH) {
    vf value = NF(load)(z + j), x = value + bias_v;
    // e = exp(−|x|) does not overflow, and log(1 + exp x) = max(x, 0) + log(1 + e), σ(x) = (x ≥ 0 ? 1 : e) / (1 + e).
    vf magnitude = NF(max)(x, -x), e = NF(exp)(-magnitude);
    vi positive = x >= zero;
    vf numerator = (vf)(((vi)one & positive) | ((vi)e & ~positive));
    vf sigmoid = numerator / (one + e);
    NF(store)(z + j, sigmoid);
    loss_v += __builtin_convertvector(NF(max)(x, zero) + NF(log1p_unit)(e), vd);
    sum_v += __builtin_convertvector(sigmoid, vd);
    weighted_v += __builtin_convertvector(sigmoid * value, vd);
  }
  *loss = NF(sum_f64)(&loss_v);
  *sum = NF(sum_f64)(&sum_v);
  *weighted = NF(sum_f64)(&weighted_v);
  for (; j < count; j++) {
    double value = z[j], x = value + bias, e = exp(-fabs(x));
    double sigmoid = (x >= 0 ? 1 : e) / (1 + e);
    *loss += (x > 0 ? x : 0) + log1p(e);
    *sum += sigmoid;
    *weighted += sigmoid * value;
    z[j] = (float)sigmoid;
  }
}

static void NF(row_statistics)(const float *z, float threshold, size_t count, size_t *at_least, float *largest,
                               double *sum) {
  const vf threshold_v = NF(splat)(threshold);
  vf top_v = NF(splat)(-FLT_MAX);
  vd sum_v = {};
  vi hits = {};
  size_t j = 0;
  for (; j + NF_WIDTH <= count; j += NF_WIDTH) {
    vf v = NF(load)(z + j);
    hits -= (vi)(v >= threshold_v);
    top_v = NF(max)(top_v, v);
    sum_v += __builtin_convertvector(v, vd);
  }
  *sum = NF(sum_f64)(&sum_v);
  *largest = j > 0 ? NF(largest)(top_v) : -FLT_MAX;
  *at_least = 0;
  for (int lane = 0; lane < NF_WIDTH; lane++) *at_least += (size_t)hits[lane];
  for (; j < count; j++) {
    *at_least += z[j] >= threshold;
    *largest = z[j] > *largest ? z[j] : *largest;
    *sum += (double)z[j];
  }
}

static size_t NF(find_above)(const float *z, float threshold, size_t start, size_t count) {
  const vf threshold_v = NF(splat)(threshold);
  size_t j = start;
  for (; j + NF_WIDTH <= count; j += NF_WIDTH) {
    vi above = NF(load)(z + j) > threshold_v;
    int any = 0;
    for (int lane = 0; lane < NF_WIDTH; lane++) any |= above[lane];
    if (any) break;
  }
  for (; j < count; j++)
    if (z[j] > threshold) return j;
  return count;
}

static double NF(distance_f64)(const float *a, const float *b, size_t count) {
  vd s0 = {}, s1 = {};
  size_t i = 0;
  for (; i + 2 * NF_WIDTH <= count; i += 2 * NF_WIDTH) {
    vd d0 = __builtin_convertvector(NF(load)(a + i), vd) - __builtin_convertvector(NF(load)(b + i), vd);
    vd d1 = __builtin_convertvector(NF(load)(a + i + NF_WIDTH), vd) -
            __builtin_convertvector(NF(load)(b + i + NF_WIDTH), vd);
    s0 += d0 * d0;
    s1 += d1 * d1;
  }
  s0 += s1;
  double sum = NF(sum_f64)(&s0);
  for (; i < count; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
  return sum;
}
