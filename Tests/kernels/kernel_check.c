// Compares one variant of the kernels with plain loops in f64: run.sh for this processor, and scripts/arm64.sh for arm64 in an emulator,
// where the Swift tests cannot run. Prints one line per failure, and "N passed, M failed" at the end.
#include "check.h"
#if defined(__x86_64__)
#include "../../Sources/CKernels/matrix_unit.h"

// Compiled with emulated_tiles.h.
extern const nf_kernels nf_kernels_amx;
#endif

int passed, failed;
const nf_kernels *k;
uint64_t state = 88172645463325252u;

static const size_t lengths[] = {1, 3, 4, 7, 16, 31, 64, 100, 384, 1000};

static void rows(void) {
  EACH(lengths, l) {
    const size_t n = lengths[l];
    float *a = numbers(n), *b = numbers(n), *z = room(4 * n);
    double dot = 0, distance = 0, sum = 0, weighted = 0, loss = 0, sigma = 0, sigma_z = 0, all = 0;
    float largest = -3e38f;
    size_t above = 0;
    for (size_t i = 0; i < n; i++) {
      dot += (double)a[i] * b[i];
      distance += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
      largest = fmaxf(largest, a[i]);
      all += a[i];
      above += a[i] >= 0.25f;
    }
    for (size_t i = 0; i < n; i++) {
      const double e = exp((double)a[i] - largest), s = 1 / (1 + exp(-(double)a[i] - 0.5));
      sum += e;
      weighted += e * ((double)a[i] - largest);
      loss += log1p(exp((double)a[i] + 0.5));
      sigma += s;
      sigma_z += s * a[i];
    }
    near("dot", n, 0, k->dot_f64(a, b, n), dot, 1e-12);
    near("distance", n, 0, k->distance_f64(a, b, n), distance, 1e-12);
    double running_max = -INFINITY, running_sum = 0;
    k->log_sum_exp_update(a, NULL, 1, n / 2, &running_max, &running_sum);
    k->log_sum_exp_update(a + n / 2, NULL, 1, n - n / 2, &running_max, &running_sum);
    near("log-sum-exp", n, 0, running_max + log(running_sum), largest + log(sum), 1e-6);
    double s, w, f;
    memcpy(z, a, 4 * n);
    near("largest", n, 0, k->exponentiate_row(z, n, &s, &w), largest, 0);
    near("sum of exp", n, 0, s, sum, 1e-6);
    near("weighted sum", n, 0, w, weighted, 1e-5);
    memcpy(z, a, 4 * n);
    k->sigmoid_row(z, 0.5f, n, &f, &s, &w);
    near("sigmoid loss", n, 0, f, loss, 1e-6);
    near("sum of sigmoids", n, 0, s, sigma, 1e-6);
    near("weighted sigmoids", n, 0, w, sigma_z, 1e-5);
    size_t at_least;
    float found;
    k->row_statistics(a, 0.25f, n, &at_least, &found, &s);
    near("count", n, 0, (double)at_least, (double)above, 0);
    near("maximum", n, 0, found, largest, 0);
    near("sum", n, 0, s, all, 1e-6);
    const size_t place = k->find_above(a, 0.9f, 0, n);
    size_t expected = 0;
    while (expected < n && a[expected] <= 0.9f) expected++;
    near("first above", n, 0, (double)place, (double)expected, 0);
    float mean[1] = {0}, top[1] = {-3e38f};
    k->mean_rows(a, n, 1, mean);
    k->max_rows(a, n, 1, top);
    near("mean of rows", n, 0, mean[0], all / n, 1e-5);
    near("maximum of rows", n, 0, top[0], largest, 0);
    free(a), free(b), free(z);
  }
}

static void norms_and_activations(void) {
  EACH(lengths, l) {
    const size_t n = lengths[l];
    float *x = numbers(n), *r = numbers(n), *g = numbers(n), *b = numbers(n), *y = room(4 * n);
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += ((double)x[i] + r[i]) / n;
    for (size_t i = 0; i < n; i++) variance += ((double)x[i] + r[i] - mean) * ((double)x[i] + r[i] - mean) / n;
    k->layer_norm(x, r, g, b, 1e-6f, 1, n, y);
    for (size_t i = 0; i < n; i++)
      near("LayerNorm", n, i, y[i], ((double)x[i] + r[i] - mean) / sqrt(variance + 1e-6) * g[i] + b[i], n == 1 ? 1e-3 : 1e-4);
    for (int kind = NF_IDENTITY; kind <= NF_GELU_ROUNDED; kind++) {
      for (size_t i = 0; i < n; i++) y[i] = 6 * x[i];
      k->activate(y, n, (nf_activation)kind);
      for (size_t i = 0; i < n; i++) {
        const double v = (double)(6 * x[i]);
        const double expected[] = {v, v * 0.5 * erfc(-v / sqrt(2)),
                                   0.5 * v * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))), fmax(v, 0),
                                   v / (1 + exp(-v)), v * 0.5 * erfc(-v / sqrt(2))};
        near("activation", n, (size_t)kind, y[i], expected[kind], kind == NF_GELU_ROUNDED ? 6e-5 : 4e-6);
      }
    }
    free(x), free(r), free(g), free(b), free(y);
  }
}

// The lowest cosine that the rows of a layer with random weights must reach, by precision.
static const double least_cosine[] = {0.9999999, 0.99995, 0.9995};

static void layers(void) {
  const size_t shapes[][3] = {{1, 16, 8},     {5, 48, 33},     {13, 100, 70},   {15, 64, 32},  {16, 96, 64},   {17, 130, 40},
                              {31, 72, 100}, {32, 512, 32}, {33, 1024, 64}, {48, 384, 96}, {50, 256, 130}, {61, 200, 65}};
  EACH(shapes, s) {
    const size_t count = shapes[s][0], inputs = shapes[s][1], outputs = shapes[s][2];
    float *x = numbers(count * inputs), *w = numbers(outputs * inputs), *bias = numbers(outputs);
    float *y = room(4 * count * outputs), *alone = room(4 * outputs), *scratch = room(4 * nf_operand_scratch(inputs));
    for (int p = NF_F32; p <= NF_INT8; p++) {
      const nf_precision precision = (nf_precision)p;
      const size_t stride = k->operand_stride(precision, inputs);
      void *packed = room(k->dense_bytes(precision, inputs, outputs)), *left = room(count * stride);
      k->dense_pack(precision, w, bias, inputs, outputs, scratch, packed);
      const nf_dense layer = {precision, NF_IDENTITY, inputs, outputs, stride, packed};
      k->operand_rows(precision, x, count, inputs, scratch, left);
      k->dense_rows(&layer, left, count, 0, k->dense_panels(outputs), y);
      for (size_t r = 0; r < count; r++) {
        double product = 0, square = 0, other = 0;
        for (size_t o = 0; o < outputs; o++) {
          double expected = bias[o];
          for (size_t i = 0; i < inputs; i++) expected += (double)x[r * inputs + i] * w[o * inputs + i];
          const double value = y[r * outputs + o];
          product += value * expected, square += value * value, other += expected * expected;
        }
        const double cosine = product / sqrt(square * other);
        check(cosine >= least_cosine[p], "cosine of a layer's row", s, (size_t)p, cosine, least_cosine[p]);
        k->dense_rows(&layer, (char *)left + r * stride, 1, 0, k->dense_panels(outputs), alone);
        const int equal = memcmp(alone, y + r * outputs, 4 * outputs) == 0;
        check(equal, "the same bytes alone", s, (size_t)p, equal, 1);
      }
      free(packed), free(left);
    }
    free(x), free(w), free(bias), free(y), free(alone), free(scratch);
  }
}

static void attention(void) {
  const size_t shapes[][3] = {{1, 1, 8}, {7, 2, 32}, {33, 3, 16}, {130, 2, 64}, {700, 1, 32}};
  EACH(shapes, s) {
    const size_t length = shapes[s][0], heads = shapes[s][1], width = shapes[s][2], stride = 3 * heads * width;
    const float scale = 1 / sqrtf((float)width);
    float *qkv = numbers(length * stride), *out = room(4 * length * heads * width);
    float *scratch = room(4 * nf_attention_scratch(length, width));
    double *weights = room(8 * length);
    const nf_attention a = {.length = length, .heads = heads, .key_heads = heads, .head_width = width, .scale = scale,
                            .before = SIZE_MAX, .after = SIZE_MAX};
    k->attention(&a, qkv, 0, heads, scratch, out);
    for (size_t h = 0; h < heads; h++) {
      for (size_t q = 0; q < length; q += 1 + length / 40) {
        double sum = 0;
        for (size_t j = 0; j < length; j++) {
          double score = 0;
          for (size_t c = 0; c < width; c++)
            score += (double)qkv[q * stride + h * width + c] * qkv[j * stride + (heads + h) * width + c];
          sum += weights[j] = exp(score * scale);
        }
        for (size_t c = 0; c < width; c++) {
          double expected = 0;
          for (size_t j = 0; j < length; j++) expected += weights[j] / sum * qkv[j * stride + (2 * heads + h) * width + c];
          near("attention", s, q, out[(q * heads + h) * width + c], expected, 3e-6);
        }
      }
    }
    free(qkv), free(out), free(scratch), free(weights);
  }
}

static void codes(void) {
  uint64_t words[37];
  size_t bits = 0;
  for (size_t i = 0; i < 37; i++) {
    (void)number();
    words[i] = state;
    for (int b = 0; b < 64; b++) bits += state >> b & 1;
  }
  near("bits", 37, 0, (double)k->count_bits(words, 37), (double)bits, 0);
  float *x = numbers(256);
  int8_t quantised[256], back[256];
  k->code_quantize(x, 256, 1 / 127.0f, quantised);
  for (size_t i = 0; i < 256; i++)
    check(fabs(quantised[i] / 127.0 - x[i]) <= 0.5 / 127 + 1e-6, "code", i, 0, quantised[i] / 127.0, x[i]);
  uint8_t record[256], unpacked[256];
  k->code_pack(quantised, 256, record);
  k->code_unpack(record, 256, unpacked);
  for (size_t i = 0; i < 256; i++) back[i] = (int8_t)(unpacked[i] - 128);
  check(memcmp(back, quantised, 256) == 0, "packed codes", 256, 0, 0, 1);
  free(x);
}

#if defined(__x86_64__)
// The operands of rows whose first value is larger by 1.
static void wrong_operands(nf_precision precision, const float *x, size_t rows, size_t inputs, float *scratch, void *out) {
  float *other = room(rows * inputs * sizeof(float));
  memcpy(other, x, rows * inputs * sizeof(float));
  other[0] += 1;
  nf_kernels_named("avx512_bf16")->operand_rows(precision, other, rows, inputs, scratch, out);
  free(other);
}

// The comparison that decides whether the matrix unit is used holds for it, and fails for a variant that multiplies otherwise.
static void agreement(void) {
  const nf_kernels *vectors = nf_kernels_named("avx512_bf16");
  nf_kernels wrong = *vectors;
  wrong.operand_rows = wrong_operands;
  for (int p = NF_BF16; p <= NF_INT8; p++) {
    check(nf_kernels_agree(k, vectors, (nf_precision)p) == 1, "agreement", (size_t)p, 0, 0, 1);
    check(nf_kernels_agree(k, &wrong, (nf_precision)p) == 0, "agreement with wrong operands", (size_t)p, 0, 1, 0);
  }
}

static int is_emulated(const char *name) { return strcmp(name, "emulated") == 0; }

static const nf_kernels *chosen(const char *name) {
  if (!is_emulated(name)) return nf_kernels_named(name);
  return nf_kernels_named("avx512_bf16") ? &nf_kernels_amx : NULL;
}
#else
static const nf_kernels *chosen(const char *name) { return nf_kernels_named(name); }
#endif

int main(int argc, char **argv) {
  k = argc > 1 ? chosen(argv[1]) : nf_kernels_active();
  if (!k) {
    printf("this processor does not run the variant %s\n", argv[1]);
    return 2;
  }
  printf("kernels: %s\n", k->name);
#if defined(__x86_64__)
  if (argc > 1 && is_emulated(argv[1])) agreement();
#endif
  rows();
  norms_and_activations();
  layers();
  attention();
  codes();
  training();
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
