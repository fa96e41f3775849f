// simdjson reports that a text is invalid, but not where. This reader (RFC 8259, one pass, no recursion) runs only on a
// text that has been rejected, and finds the first fault and its offset.

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "Tape.hpp"

namespace {

struct Reader {
  const uint8_t *text;
  size_t length;
  size_t max_depth;
  size_t at = 0;
  const char *fault = nullptr;
  size_t fault_at = 0;

  bool fail(const char *message, size_t where) {
    fault = message;
    fault_at = where;
    return false;
  }
  int peek() const { return at < length ? text[at] : -1; }
  void skip_space() {
    while (at < length && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) at++;
  }
  bool digits() {
    size_t start = at;
    while (at < length && text[at] >= '0' && text[at] <= '9') at++;
    return at > start;
  }

  bool number() {
    size_t start = at;
    if (peek() == '-') at++;
    if (peek() == '0') {
      at++;
      if (peek() >= '0' && peek() <= '9') return fail("a number must not start with 0", start);
    } else if (!digits()) {
      return fail("a number needs a digit here", at);
    }
    if (peek() == '.') {
      at++;
      if (!digits()) return fail("a number needs a digit after its decimal point", at);
    }
    if (peek() == 'e' || peek() == 'E') {
      at++;
      if (peek() == '+' || peek() == '-') at++;
      if (!digits()) return fail("a number needs a digit in its exponent", at);
    }
    const char *first = reinterpret_cast<const char *>(text + start);
    const char *last = reinterpret_cast<const char *>(text + at);
    double value = 0;
    if (std::from_chars(first, last, value).ec == std::errc::result_out_of_range) {
      // from_chars also reports numbers too close to zero as out of range. These are valid; strtod tells the two apart.
      if (std::isinf(std::strtod(std::string(first, last).c_str(), nullptr)))
        return fail("a number is beyond the range of a double", start);
    }
    return true;
  }

  /// The value of the four hex digits after \u, or -1 when they are not there.
  int hex4() {
    int value = 0;
    for (int i = 0; i < 4; i++, at++) {
      int c = peek();
      int lower = c | 0x20;
      bool decimal = c >= '0' && c <= '9', letter = lower >= 'a' && lower <= 'f';
      if (c < 0 || !(decimal || letter)) return -1;
      value = value * 16 + (decimal ? c - '0' : lower - 'a' + 10);
    }
    return value;
  }

  bool escape() {
    size_t start = at++;
    int c = peek();
    at++;
    if (c != 'u') {
      if (c >= 0 && std::strchr("\"\\/bfnrt", c) != nullptr && c != 0) return true;
      return fail("unknown escape in a string", start);
    }
    int unit = hex4();
    if (unit < 0) return fail("\\u needs four hex digits", start);
    if (unit >= 0xDC00 && unit <= 0xDFFF) return fail("a low surrogate has no high surrogate before it", start);
    if (unit < 0xD800 || unit > 0xDBFF) return true;
    if (peek() == '\\' && at + 1 < length && text[at + 1] == 'u') {
      at += 2;
      int low = hex4();
      if (low >= 0xDC00 && low <= 0xDFFF) return true;
    }
    return fail("a high surrogate has no low surrogate after it", start);
  }

  /// Reads one UTF-8 sequence of two to four bytes (RFC 3629).
  bool scalar() {
    uint8_t lead = text[at];
    size_t more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    if (lead < 0xC2 || lead > 0xF4 || length - at <= more) return fail("invalid UTF-8", at);
    for (size_t i = 1; i <= more; i++)
      if ((text[at + i] & 0xC0) != 0x80) return fail("invalid UTF-8", at);
    uint8_t second = text[at + 1];
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
        (lead == 0xF4 && second > 0x8F))
      return fail("invalid UTF-8", at);
    at += more + 1;
    return true;
  }

  bool string() {
    size_t start = at++;
    while (at < length) {
      uint8_t c = text[at];
      if (c == '"') {
        at++;
        return true;
      }
      if (c < 0x20) return fail("a control character in a string must be escaped", at);
      if (c == '\\') {
        if (!escape()) return false;
      } else if (c < 0x80) {
        at++;
      } else if (!scalar()) {
        return false;
      }
    }
    return fail("a string is not closed", start);
  }

  bool literal(const char *word) {
    size_t size = std::strlen(word);
    if (length - at < size || std::memcmp(text + at, word, size) != 0) return fail("unknown literal", at);
    at += size;
    return true;
  }

  bool key() {
    skip_space();
    if (peek() != '"') return fail(at < length ? "an object needs a string as its key here" : "the text ends early", at);
    if (!string()) return false;
    skip_space();
    if (peek() != ':') return fail(at < length ? "':' is missing after a key" : "the text ends early", at);
    at++;
    return true;
  }

  bool document() {
    std::vector<uint8_t> open;
    skip_space();
    if (at == length) return fail("the text is empty", 0);
    for (;;) {
      skip_space();
      int c = peek();
      if (c == '[' || c == '{') {
        if (open.size() == max_depth) return fail("nesting is too deep", at);
        open.push_back(static_cast<uint8_t>(c));
        at++;
        skip_space();
        if (peek() != (c == '[' ? ']' : '}')) {
          if (c == '{' && !key()) return false;
          continue;
        }
      } else if (c == '"') {
        if (!string()) return false;
      } else if (c == '-' || (c >= '0' && c <= '9')) {
        if (!number()) return false;
      } else if (c == 't' || c == 'f' || c == 'n') {
        if (!literal(c == 't' ? "true" : c == 'f' ? "false" : "null")) return false;
      } else {
        return fail(c < 0 ? "the text ends early" : "a value is missing here", at);
      }
      // A value is complete, or the container that was just opened is empty: what may follow?
      for (;;) {
        skip_space();
        c = peek();
        if (open.empty()) return c < 0 ? true : fail("unexpected content after the value", at);
        if (c == (open.back() == '[' ? ']' : '}')) {
          open.pop_back();
          at++;
          continue;
        }
        if (c < 0) return fail("the text ends early", at);
        if (c != ',') return fail(open.back() == '[' ? "',' or ']' is missing here" : "',' or '}' is missing here", at);
        at++;
        if (open.back() == '{' && !key()) return false;
        break;
      }
    }
  }
};

}  // namespace

void csj_diagnose(const uint8_t *text, size_t length, size_t max_depth, const char *fallback, csj_failure *failure) {
  Reader reader{text, length, max_depth};
  bool refused = !reader.document();
  failure->has_offset = refused;
  failure->offset = refused ? reader.fault_at : 0;
  std::snprintf(failure->message, sizeof failure->message, "%s", refused ? reader.fault : fallback);
}
