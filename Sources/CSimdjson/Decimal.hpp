// The shortest decimal of a float, found in double precision and without branches.
//
// As in Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2020), a power of ten scales the float
// so that the distance to the next float is at least 1 and less than 10. Every number nearer than half that distance
// reads back as the float. The nearest integer is such a number. Of the multiples of ten at most one is; where one is,
// it is the shortest decimal, since the zeros at its end are no digits, and otherwise the nearest integer is.
//
// Schubfach decides this with integers. Here doubles decide, whose errors are below 10^-7, and what comes within 10^-6
// of a decision (one float in 200,000) is left to the caller.

#ifndef DECIMAL_HPP
#define DECIMAL_HPP

#include <cmath>
#include <cstdint>
#include <cstring>

/// The number nine × 10^(exponent − 8). `nine` has nine digits, of which the last ones may be zeros; it is 0 where the
/// caller has to find the decimal in another way.
struct Decimal {
  uint32_t nine;
  int32_t exponent;
};

/// What scales the floats of one binary exponent.
struct Scale {
  /// A power of ten of at most 10^22, which a double holds exactly.
  double power;
  /// Half the scaled distance to the next float.
  double half;
  /// The decimal exponent that makes up for `power`.
  int32_t exponent;
};

struct Scales {
  /// By the bits of a float's exponent; all zero where it is outside of 2^-50 to 2^24. Larger floats are integers.
  Scale of[256];
};

constexpr Scales make_scales() {
  Scales scales{};
  Scale scale{1, 0.5, 0};
  for (int bits = 150; bits >= 77; bits--) {
    if (scale.half < 0.5) scale = {scale.power * 10, scale.half * 10, scale.exponent - 1};
    scales.of[bits] = scale;
    scale.half /= 2;
  }
  return scales;
}

inline constexpr Scales scales = make_scales();

/// Added to a number between 0 and 2^51, this leaves no room for a fraction in a double, so that the sum is rounded to
/// an integer, whose low bits are those of the number.
constexpr double no_fraction = 0x1.8p52;

inline double nearest(double value) { return value + no_fraction - no_fraction; }

inline Decimal shortest(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits &= 0x7FFFFFFF;
  const Scale &scale = scales.of[bits >> 23];
  // Less than 10 × 2^24, so that the error of this product is below 2^-26. The differences below are exact. A product
  // with 0.1 that is rounded to the wrong side gives a multiple of ten at a distance of about 5, and `half` is less
  // than 4.9.
  double scaled = std::fabs(double(value)) * scale.power;
  double one = nearest(scaled);
  double ten = nearest(scaled * 0.1) * 10;
  double outside = std::fabs(scaled - ten) - scale.half;
  double untied = 0.5 - std::fabs(scaled - one);
  // A power of two is nearer to the float below it than to the one above it.
  bool is_doubtful = (std::fabs(outside) < 1e-6) | (untied < 1e-6) | (bits << 9 == 0) | (scale.half == 0);

  // Seven to nine digits.
  double decimal = (outside < 0 ? ten : one) + no_fraction;
  uint64_t word;
  std::memcpy(&word, &decimal, sizeof word);
  uint32_t nine = uint32_t(word);
  int32_t exponent = scale.exponent + 8;
  for (int i = 0; i < 2; i++) {
    bool is_short = nine < 100000000;
    nine = is_short ? nine * 10 : nine;
    exponent -= is_short;
  }
  return {is_doubtful ? 0 : nine, exponent};
}

#endif
