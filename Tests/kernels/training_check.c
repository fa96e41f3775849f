// Compares the kernels of training with the same formulas in f64.
#include "check.h"

static const size_t widths[] = {1, 3, 16, 31, 100, 384};

static void norms(void) {
  EACH(widths, w) {
    const size_t n = widths[w], rows = 5;
    float *x = numbers(rows * n), *r = numbers(rows * n), *g = numbers(n), *b = numbers(n), *dy = numbers(rows * n);
    float *sum = room(4 * rows * n), *y = room(4 * rows * n), *dx = room(4 * rows * n), *dg = room(4 * n), *db = room(4 * n);
    float statistics[10];
    for (int is_centred = 0; is_centred < 2; is_centred++) {
      double *expected_dg = room(8 * n), *expected_db = room(8 * n);
      for (size_t i = 0; i < n; i++) expected_dg[i] = expected_db[i] = dg[i] = db[i] = 0.5f;
      if (is_centred) {
        k->layer_norm_forward(x, r, g, b, 0.1f, rows, n, sum, statistics, y);
        k->layer_norm_backward(dy, sum, statistics, g, rows, n, dx, dg, db);
      } else {
        k->rms_norm_forward(x, r, g, 0.1f, rows, n, sum, statistics, y);
        k->rms_norm_backward(dy, sum, statistics, g, rows, n, dx, dg);
      }
      for (size_t row = 0; row < rows; row++) {
        const float *v = sum + row * n, *d = dy + row * n;
        double mean = 0, square = 0, mean_g = 0, mean_gx = 0;
        for (size_t i = 0; i < n && is_centred; i++) mean += (double)v[i] / n;
        for (size_t i = 0; i < n; i++) square += (v[i] - mean) * (v[i] - mean) / n;
        const double inverse = 1 / sqrt(square + (double)0.1f);
        for (size_t i = 0; i < n; i++) {
          const double hat = (v[i] - mean) * inverse;
          near("sum of a norm", n, i, v[i], x[row * n + i] + r[row * n + i], 0);
          near("norm for training", n, i, y[row * n + i], hat * g[i] + (is_centred ? b[i] : 0), 2e-6);
          mean_g += is_centred ? (double)d[i] * g[i] / n : 0;
          mean_gx += (double)d[i] * g[i] * hat / n;
          expected_dg[i] += d[i] * hat;
          expected_db[i] += d[i];
        }
        for (size_t i = 0; i < n; i++) {
          const double hat = (v[i] - mean) * inverse;
          near("derivative by x", n, i, dx[row * n + i], ((double)d[i] * g[i] - mean_g - hat * mean_gx) * inverse, 4e-6);
        }
      }
      for (size_t i = 0; i < n; i++) {
        near("derivative by gamma", n, i, dg[i], expected_dg[i], 2e-6);
        if (is_centred) near("derivative by beta", n, i, db[i], expected_db[i], 2e-6);
      }
      free(expected_dg), free(expected_db);
    }
    free(x), free(r), free(g), free(b), free(dy), free(sum), free(y), free(dx), free(dg), free(db);
  }
}

static double activation(int kind, double v) {
  switch (kind) {
    case NF_IDENTITY: return v;
    case NF_GELU_TANH: return 0.5 * v * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    case NF_RELU: return fmax(v, 0);
    case NF_SILU: return v / (1 + exp(-v));
    default: return v * 0.5 * erfc(-v / sqrt(2));
  }
}

static void activations(void) {
  EACH(widths, w) {
    const size_t n = widths[w];
    float *x = numbers(2 * n), *dy = numbers(n), *y = room(4 * n), *dx = room(8 * n);
    for (size_t i = 0; i < 2 * n; i++) x[i] *= 8;
    for (int kind = NF_IDENTITY; kind <= NF_SILU; kind++) {
      const double step = 1e-5;
      k->activation_forward(x, n, (nf_activation)kind, y);
      k->activation_backward(dy, x, n, (nf_activation)kind, dx);
      for (size_t i = 0; i < n; i++) {
        const double slope = (activation(kind, x[i] + step) - activation(kind, x[i] - step)) / (2 * step);
        near("activation forward", n, (size_t)kind, y[i], activation(kind, x[i]), 4e-6);
        near("activation backward", n, (size_t)kind, dx[i], dy[i] * slope, 1e-6);
      }
      k->gate_backward(dy, x, 1, n, (nf_activation)kind, dx);
      for (size_t i = 0; i < n; i++) {
        const double slope = (activation(kind, x[i] + step) - activation(kind, x[i] - step)) / (2 * step);
        near("gate backward", n, (size_t)kind, dx[i], dy[i] * x[n + i] * slope, 2e-6);
        near("gate backward", n, (size_t)kind, dx[n + i], dy[i] * activation(kind, x[i]), 4e-6);
      }
    }
    free(x), free(dy), free(y), free(dx);
  }
}

static void masks(void) {
  const uint32_t zeros[4] = {0}, ones[4] = {~0u, ~0u, ~0u, ~0u};
  const uint32_t expected[2][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                   {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}};
  uint32_t found[4];
  k->philox(zeros, zeros, found);
  check(memcmp(found, expected[0], 16) == 0, "Philox of zeros", 0, 0, found[0], expected[0][0]);
  k->philox(ones, ones, found);
  check(memcmp(found, expected[1], 16) == 0, "Philox of ones", 0, 0, found[0], expected[1][0]);
  enum { COUNT = 20000 };
  const nf_dropout dropout = {.seed = 7, .serial = 1ull << 32 | 5, .site = 3, .probability = 0.25f};
  float *x = room(4 * COUNT), *y = room(4 * COUNT), *part = room(4 * COUNT);
  double mean = 0;
  for (size_t i = 0; i < COUNT; i++) x[i] = 1;
  k->dropout(&dropout, x, COUNT, 0, y);
  for (size_t i = 0; i < COUNT; i++) mean += y[i] / (double)COUNT;
  // Four standard deviations.
  check(fabs(mean - 1) <= 4 * sqrt(0.25 / 0.75 / COUNT), "mean of a mask", COUNT, 0, mean, 1);
  EACH(widths, w) {
    k->dropout(&dropout, x, 1000, widths[w], part);
    check(memcmp(part, y + widths[w], 4000) == 0, "a part of a mask", widths[w], 0, 0, 1);
  }
  // The words are the counters' (see dropout.h), so that every variant makes the same mask.
  for (uint32_t i = 0; i < 1000; i++) {
    const uint32_t counter[4] = {i / 64 * 16 + i % 16, dropout.site, (uint32_t)dropout.serial, dropout.serial >> 32};
    const uint32_t key[2] = {(uint32_t)dropout.seed, dropout.seed >> 32};
    k->philox(counter, key, found);
    near("mask", i, 0, y[i], found[i % 64 / 16] >= 0x40000000u ? 1 / 0.75 : 0, 1e-7);
  }
  free(x), free(y), free(part);
}

static void attention_training(void) {
  // Tokens, heads, heads of keys, the width of a head, how far a query sees, and whether there is a bias.
  const size_t shapes[][7] = {{1, 1, 1, 8, SIZE_MAX, SIZE_MAX, 0},  {7, 2, 2, 32, SIZE_MAX, SIZE_MAX, 0},
                              {33, 4, 2, 20, SIZE_MAX, 0, 1},       {65, 2, 1, 16, 9, 5, 1},
                              {530, 1, 1, 12, SIZE_MAX, SIZE_MAX, 0}, {600, 2, 1, 8, 300, 1, 1}};
  EACH(shapes, s) {
    const size_t n = shapes[s][0], heads = shapes[s][1], key_heads = shapes[s][2], width = shapes[s][3];
    const size_t stride = (heads + 2 * key_heads) * width, q_width = heads * width, padded = (n + 15) / 16 * 16;
    const nf_dropout dropout = {.seed = 1, .serial = 2, .site = 3, .probability = 0.2f};
    float *qkv = numbers(n * stride), *bias = numbers(heads * (2 * n - 1)), *dout = numbers(n * q_width);
    float *out = room(4 * n * q_width), *log_sums = room(4 * heads * n), *dqkv = room(4 * n * stride);
    float *dbias = room(4 * heads * (2 * n - 1)), *mask = room(4 * heads * n * padded);
    float *scratch = room(4 * (nf_attention_scratch(n, width) + nf_attention_backward_scratch(width)));
    const float scale = 1 / sqrtf((float)width);
    const nf_attention a = {.length = n, .heads = heads, .key_heads = key_heads, .head_width = width, .scale = scale,
                            .before = shapes[s][4], .after = shapes[s][5], .bias = shapes[s][6] ? bias : NULL,
                            .longest = n, .dropout = s % 2 ? &dropout : NULL, .log_sums = log_sums};
    for (size_t i = 0; i < n * stride; i++) qkv[i] *= 2;
    for (size_t i = 0; i < heads * n * padded; i++) mask[i] = 1;
    if (a.dropout) k->dropout(&dropout, mask, heads * n * padded, 0, mask);
    memset(dbias, 0, 4 * heads * (2 * n - 1));
    k->attention(&a, qkv, 0, heads, scratch, out);
    k->attention_backward(&a, qkv, out, dout, 0, key_heads, scratch, dqkv, dbias);
    double *expected = room(8 * n * stride), *expected_bias = room(8 * heads * (2 * n - 1)), *p = room(8 * n), *dp = room(8 * n);
    memset(expected, 0, 8 * n * stride);
    memset(expected_bias, 0, 8 * heads * (2 * n - 1));
    for (size_t h = 0; h < heads; h++) {
      const size_t key = (heads + h / (heads / key_heads)) * width, value = key + key_heads * width;
      for (size_t q = 0; q < n; q++) {
        const float *query = qkv + q * stride + h * width, *factors = mask + (h * n + q) * padded;
        double sum = 0, delta = 0;
        for (size_t j = 0; j < n; j++) {
          p[j] = dp[j] = 0;
          if ((j < q && q - j > a.before) || (j > q && j - q > a.after)) continue;
          double score = a.bias ? bias[h * (2 * n - 1) + n - 1 + j - q] : 0;
          for (size_t c = 0; c < width; c++) score += (double)query[c] * qkv[j * stride + key + c];
          sum += p[j] = exp(score * scale);
          for (size_t c = 0; c < width; c++)
            dp[j] += (double)dout[q * q_width + h * width + c] * qkv[j * stride + value + c] * factors[j];
        }
        near("log of the sum", s, q, log_sums[h * n + q], log(sum), 1e-6);
        for (size_t j = 0; j < n; j++) delta += (p[j] /= sum) * dp[j];
        for (size_t c = 0; c < width; c++) {
          double o = 0;
          for (size_t j = 0; j < n; j++) o += p[j] * factors[j] * qkv[j * stride + value + c];
          near("attention for training", s, q, out[q * q_width + h * width + c], o, 3e-6);
        }
        for (size_t j = 0; j < n; j++) {
          const double ds = p[j] * (dp[j] - delta);
          expected_bias[h * (2 * n - 1) + n - 1 + j - q] += ds;
          for (size_t c = 0; c < width; c++) {
            expected[q * stride + h * width + c] += ds * scale * qkv[j * stride + key + c];
            expected[j * stride + key + c] += ds * scale * query[c];
            expected[j * stride + value + c] += p[j] * factors[j] * dout[q * q_width + h * width + c];
          }
        }
      }
    }
    for (size_t i = 0; i < n * stride; i++) near("attention backward", s, i, dqkv[i], expected[i], 5e-6);
    for (size_t i = 0; i < heads * (2 * n - 1) && a.bias; i++)
      near("derivative by the bias", s, i, dbias[i], expected_bias[i], 5e-6);
    free(qkv), free(bias), free(dout), free(out), free(log_sums), free(dqkv), free(dbias), free(mask), free(scratch);
    free(expected), free(expected_bias), free(p), free(dp);
  }
}

static void optimisers(void) {
  enum { ROWS = 21, WIDTH = 37, COUNT = ROWS * WIDTH };
  float *x = numbers(COUNT), *g = numbers(COUNT), *m = numbers(COUNT), *v = numbers(COUNT), *sums = numbers(WIDTH);
  float *y = room(4 * COUNT), *m2 = room(4 * COUNT), *v2 = room(4 * COUNT), *after = room(4 * WIDTH);
  memcpy(after, sums, 4 * WIDTH);
  k->add_column_sums(x, ROWS, WIDTH, after);
  for (size_t c = 0; c < WIDTH; c++) {
    double expected = sums[c];
    for (size_t r = 0; r < ROWS; r++) expected += x[r * WIDTH + c];
    near("sums of columns", c, 0, after[c], expected, 2e-6);
  }
  memcpy(y, x, 4 * COUNT);
  k->add_bias(sums, ROWS, WIDTH, y);
  for (size_t i = 0; i < COUNT; i++) near("bias", i, 0, y[i], x[i] + sums[i % WIDTH], 0);
  memcpy(y, x, 4 * COUNT);
  k->add_scaled(g, 0.3f, COUNT, y);
  for (size_t i = 0; i < COUNT; i++) near("scaled sum", i, 0, y[i], x[i] + 0.3 * g[i], 1e-7);
  memcpy(y, x, 4 * COUNT);
  k->follow(g, 0.9f, COUNT, y);
  for (size_t i = 0; i < COUNT; i++) near("follow", i, 0, y[i], 0.9 * x[i] + 0.1 * g[i], 1e-7);
  for (size_t i = 0; i < COUNT; i++) v[i] = fabsf(v[i]);
  memcpy(y, x, 4 * COUNT), memcpy(m2, m, 4 * COUNT), memcpy(v2, v, 4 * COUNT);
  const nf_adamw s = {.gradient_scale = 0.5f, .value_keep = 0.999f, .first_share = 0.1f, .second_keep = 0.999f,
                      .second_share = 0.001f, .step_size = 0.01f, .second_root = 0.5f, .epsilon = 1e-8f};
  k->adamw(&s, g, COUNT, y, m2, v2);
  for (size_t i = 0; i < COUNT; i++) {
    const double d = 0.5 * g[i], first = m[i] + 0.1 * (d - m[i]), second = 0.999 * v[i] + 0.001 * d * d;
    near("first moment", i, 0, m2[i], first, 1e-6);
    near("second moment", i, 0, v2[i], second, 1e-6);
    near("AdamW", i, 0, y[i], 0.999 * x[i] - 0.01 * first / (sqrt(second) / 0.5 + 1e-8), 1e-6);
  }
  check(k->all_finite(x, COUNT), "finite", COUNT, 0, 0, 1);
  const float bad[] = {INFINITY, -INFINITY, NAN};
  EACH(bad, b) {
    float *last = numbers(9000);
    last[b * 4095] = bad[b];
    check(!k->all_finite(last, 9000), "not finite", b, 0, 1, 0);
    free(last);
  }
  free(x), free(g), free(m), free(v), free(sums), free(y), free(m2), free(v2), free(after);
}

void training(void) {
  norms();
  activations();
  masks();
  attention_training();
  optimisers();
}
