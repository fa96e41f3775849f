// Writing of numbers and strings.

#include <charconv>
#include <cmath>

#include "Tape.hpp"

namespace {

/// Writes the shortest number that reads back as the same value. to_chars writes the negative zero as "-0", which reads
/// back as the integer 0, so ".0" is appended to it.
template <typename Number>
char *write(char *first, char *last, Number value) {
  char *end = std::to_chars(first, last, value).ptr;
  if (end - first == 2 && first[0] == '-' && first[1] == '0') {
    *end++ = '.';
    *end++ = '0';
  }
  return end;
}

template <typename Number>
size_t write_finite(uint8_t *out, size_t room, Number value, bool *non_finite) {
  if (!std::isfinite(value)) {
    *non_finite = true;
    value = 0;
  }
  char *first = reinterpret_cast<char *>(out);
  return static_cast<size_t>(write(first, first + room, value) - first);
}

}  // namespace

size_t csj_write_float(float value, uint8_t *out, bool *non_finite) {
  return write_finite(out, CSJ_MAX_FLOAT - 1, value, non_finite);
}

size_t csj_write_double(double value, uint8_t *out, bool *non_finite) {
  return write_finite(out, CSJ_MAX_DOUBLE, value, non_finite);
}

size_t csj_write_number_at(const csj_document *document, size_t at, uint8_t *out) {
  char *first = reinterpret_cast<char *>(out);
  char *last = first + CSJ_MAX_DOUBLE;
  uint64_t bits = document->word(at + 1);
  switch (document->type(at)) {
    case 'l':
      return static_cast<size_t>(std::to_chars(first, last, static_cast<int64_t>(bits)).ptr - first);
    case 'u':
      return static_cast<size_t>(std::to_chars(first, last, bits).ptr - first);
    default:
      return static_cast<size_t>(write(first, last, document->number(at)) - first);
  }
}

size_t csj_plain_prefix(const uint8_t *text, size_t length) {
  constexpr uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
  size_t at = 0;
  // Eight bytes at a time. A byte sets its top bit in `special` when it is below 0x20, or when XOR with the character
  // looked for makes it zero, because the subtraction then borrows.
  for (; length - at >= 8; at += 8) {
    uint64_t word;
    std::memcpy(&word, text + at, sizeof word);
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    uint64_t special = ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
    if ((special & tops) != 0) break;
  }
  while (at < length && text[at] >= 0x20 && text[at] != '"' && text[at] != '\\') at++;
  return at;
}
