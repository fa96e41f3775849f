// Dropout by a generator that is a function of a counter; part of template.h.
//
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a counter of four words and a key
// of two into four random words. The key is the seed; the counter is a number, the site, and the serial number of the text.
// One word decides on one value. The 64 values from index 64·g on take the words of the counters 16·g to 16·g + 15: first
// the first word of each, then the second, and so on, because that is how vectors hold them. Vectors of fewer lanes work on
// a part of these counters at a time, so that every variant makes the same mask.

#define NF_MASKED 64

typedef uint64_t NF(vq) __attribute__((vector_size(4 * NF_WIDTH)));

// The halves of the product of every lane and a constant.
NF_INLINE void NF(multiply_words)(NF(vu) a, uint32_t constant, NF(vu) *high, NF(vu) *low) {
  const NF(vq) pairs = (NF(vq))a, factor = (uint64_t)constant - (NF(vq)){}, lower = 0xffffffffu - (NF(vq)){};
  const NF(vq) even = (pairs & lower) * factor, odd = (pairs >> 32) * factor;
  *high = (NF(vu))((even >> 32) | (odd & ~lower));
  *low = (NF(vu))((even & lower) | (odd << 32));
}

// The random words of NF_WIDTH counters.
NF_INLINE void NF(philox_rounds)(NF(vu) counter[4], uint32_t key0, uint32_t key1) {
  NF_UNROLL for (int round = 0; round < 10; round++) {
    NF(vu) high0, low0, high2, low2;
    NF(multiply_words)(counter[0], 0xD2511F53u, &high0, &low0);
    NF(multiply_words)(counter[2], 0xCD9E8D57u, &high2, &low2);
    counter[0] = high2 ^ counter[1] ^ key0;
    counter[1] = low2;
    counter[2] = high0 ^ counter[3] ^ key1;
    counter[3] = low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

static void NF(philox)(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  NF(vu) words[4];
  for (int i = 0; i < 4; i++) words[i] = counter[i] - (NF(vu)){};
  NF(philox_rounds)(words, key[0], key[1]);
  for (int i = 0; i < 4; i++) out[i] = words[i][0];
}

// The factors of the 64 values from index 64·group on: 0 or 1/(1 − probability).
NF_INLINE void NF(mask_group)(const nf_dropout *dropout, uint64_t group, float factors[NF_MASKED]) {
  // With a probability of 0 or less everything is kept, with one of 1 or more nothing.
  const float probability = dropout->probability > 0 ? dropout->probability : 0;
  const vf kept = NF(splat)(probability < 1 ? 1 / (1 - probability) : 0);
  const uint32_t least = probability < 1 ? (uint32_t)((double)probability * 4294967296.0) : 0;
  NF(vu) lane;
  for (uint32_t i = 0; i < NF_WIDTH; i++) lane[i] = i;
  for (uint32_t first = 0; first < 16; first += NF_WIDTH) {
    NF(vu) words[4] = {lane + (uint32_t)(16 * group + first), dropout->site - (NF(vu)){},
                       (uint32_t)dropout->serial - (NF(vu)){}, (uint32_t)(dropout->serial >> 32) - (NF(vu)){}};
    NF(philox_rounds)(words, (uint32_t)dropout->seed, (uint32_t)(dropout->seed >> 32));
    NF_UNROLL for (int i = 0; i < 4; i++)
      NF(store)(factors + 16 * i + first, (vf)((vi)kept & (vi)(words[i] >= least - (NF(vu)){})));
  }
}

// The factors of the group that was asked for last: rows of attention weights are often shorter than a group.
typedef struct NF(mask) {
  const nf_dropout *dropout;
  uint64_t group;  // UINT64_MAX before the first
  float factors[NF_MASKED];
} NF(mask);

// The factors from `index` on, up to the end of its group.
NF_INLINE const float *NF(mask_at)(NF(mask) *mask, uint64_t index) {
  if (index / NF_MASKED != mask->group) {
    mask->group = index / NF_MASKED;
    NF(mask_group)(mask->dropout, mask->group, mask->factors);
  }
  return mask->factors + index % NF_MASKED;
}

static void NF(dropout)(const nf_dropout *dropout, const float *x, size_t count, uint64_t first, float *out) {
  NF(mask) mask = {.dropout = dropout, .group = UINT64_MAX};
  for (size_t i = 0, size; i < count; i += size) {
    const size_t left = NF_MASKED - (first + i) % NF_MASKED;
    size = count - i < left ? count - i : left;
    const float *factors = NF(mask_at)(&mask, first + i);
    if (size == NF_MASKED) {
      NF_UNROLL for (size_t j = 0; j < NF_MASKED; j += NF_WIDTH)
        NF(store)(out + i + j, NF(load)(x + i + j) * NF(load)(factors + j));
    } else {
      for (size_t j = 0; j < size; j++) out[i + j] = x[i + j] * factors[j];
    }
  }
}
