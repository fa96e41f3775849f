// Writing of many floats, with the characters of std::to_chars and in a third of its time.
//
// The lengths of numbers cannot be predicted, so there are few branches. Each step is a loop of its own over a block of
// numbers, because the processor then works on several of them at once.

#include <cmath>
#include <cstring>

#include "CSimdjson.h"
#include "Decimal.hpp"

namespace {

/// The characters of first.rest × 10^exponent.
struct Digits {
  /// Eight characters, the first in the lowest byte.
  uint64_t rest;
  /// How many of them there are before the zeros at the end.
  int8_t count;
  /// "0" where the number has to be written in another way.
  char first;
  int8_t exponent;
};

/// The eight decimal digits of a number below 10^8 as bytes from 0 to 9, the first in the lowest byte. The number is
/// split in halves three times, each time in all parts of the word at once. n × 10486 >> 20 is n / 100 for n below
/// 10^4, and n × 103 >> 10 is n / 10 for n below 100.
inline uint64_t eight_digits(uint32_t number) {
  uint64_t fours = number / 10000 + (uint64_t(number % 10000) << 32);
  uint64_t hundreds = (fours * 10486 >> 20) & 0x0000007F'0000007F;
  uint64_t twos = hundreds + ((fours - hundreds * 100) << 16);
  uint64_t tens = (twos * 103 >> 10) & 0x000F'000F'000F'000F;
  return tens + ((twos - tens * 10) << 8);
}

inline Digits digits(Decimal decimal) {
  uint32_t first = decimal.nine / 100000000;
  uint64_t rest = eight_digits(decimal.nine - first * 100000000);
  int count = rest == 0 ? 0 : 8 - __builtin_clzll(rest) / 8;
  return {rest | 0x3030303030303030, int8_t(count), char('0' + first), int8_t(decimal.exponent)};
}

/// Stores a word with its lowest byte first: both of the supported processors are little-endian.
inline void store(char *at, uint64_t word) { std::memcpy(at, &word, sizeof word); }

char *write_slowly(char *at, float value, bool *non_finite) {
  return at + csj_write_float(value, reinterpret_cast<uint8_t *>(at), non_finite);
}

/// Writes a number and returns the end of it. Up to 20 bytes from `start` on are overwritten.
inline char *write(char *start, float value, Digits digits, bool *non_finite) {
  if (digits.first == '0') return write_slowly(start, value, non_finite);
  char *at = start;
  *at = '-';
  at += std::signbit(value);
  int exponent = digits.exponent, count = digits.count;

  // Of the two notations the shorter one is written, and the one without an exponent where both are equally long.
  if (exponent < 0 && exponent >= (count == 0 ? -3 : -4)) {
    store(at, 0x303030302E30);  // "0.0000"
    at += 1 - exponent;
    *at = digits.first;
    store(at + 1, digits.rest);
    return at + 1 + count;
  }
  // The digits before the point, at most eight.
  int whole = exponent < 0 ? 1 : exponent + 1;
  if (whole > 1 + count + (count > 0) + 4) return write_slowly(start, value, non_finite);
  *at = digits.first;
  store(at + 1, digits.rest);
  at[whole] = '.';
  store(at + whole + 1, digits.rest >> 8 * (whole - 1));
  at += count < whole ? whole : count + 2;
  if (exponent < 0) {
    uint64_t tens = uint32_t(-exponent) / 10, ones = uint32_t(-exponent) % 10;
    store(at, 0x30302D65 | tens << 16 | ones << 24);  // "e-00"
    at += 4;
  }
  return at;
}

}  // namespace

size_t csj_write_floats(const float *values, size_t count, uint8_t *out, bool *non_finite) {
  constexpr size_t block = 64;
  Decimal decimals[block];
  Digits texts[block];
  char *at = reinterpret_cast<char *>(out);
  for (size_t from = 0; from < count; from += block) {
    size_t length = count - from < block ? count - from : block;
    const float *part = values + from;
    for (size_t i = 0; i < length; i++) decimals[i] = shortest(part[i]);
    for (size_t i = 0; i < length; i++) texts[i] = digits(decimals[i]);
    for (size_t i = 0; i < length; i++) {
      at = write(at, part[i], texts[i], non_finite);
      *at++ = ',';
    }
  }
  return static_cast<size_t>(at - reinterpret_cast<char *>(out)) - (count > 0);
}
