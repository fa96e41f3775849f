// Parsing into the tape, and reading from it.

#include <charconv>
#include <cstdio>
#include <new>
#include <vector>

#include "Tape.hpp"

namespace {

using simdjson::error_code;

error_code parse_into(csj_document *document, const uint8_t *text, size_t length, size_t max_depth) {
  // A new parser for each document: its index of the text, 4 bytes for each byte of text, is freed as soon as the tape
  // is filled.
  simdjson::dom::parser parser;
  // simdjson counts the root as a level and does not count empty containers; csj_check_tape enforces the exact limit.
  error_code error = parser.allocate(length, max_depth + 1);
  if (error) return error;
  return parser.parse_into_document(document->document, text, length, /*realloc_if_needed=*/false).error();
}

/// Whether an integer literal fits in neither int64_t nor uint64_t.
bool is_beyond_64_bits(const uint8_t *first, const uint8_t *last) {
  const char *begin = reinterpret_cast<const char *>(first), *end = reinterpret_cast<const char *>(last);
  int64_t whole;
  uint64_t natural;
  return std::from_chars(begin, end, whole).ec != std::errc() && std::from_chars(begin, end, natural).ec != std::errc();
}

/// simdjson rejects integer literals beyond 64 bits, which JSON allows, but reads numbers with an exponent as doubles.
/// This copies the text and appends `e0` to each such literal.
std::vector<uint8_t> with_exponents(const uint8_t *text, size_t length) {
  std::vector<uint8_t> copy;
  copy.reserve(length + length / 8 + simdjson::SIMDJSON_PADDING);
  bool in_string = false;
  for (size_t i = 0; i < length;) {
    uint8_t c = text[i];
    if (in_string && c == '\\' && i + 1 < length) {
      copy.insert(copy.end(), {c, text[i + 1]});
      i += 2;
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string || (c != '-' && (c < '0' || c > '9'))) {
      copy.push_back(c);
      i++;
      continue;
    }
    size_t start = i;
    bool integer = true;
    for (; i < length; i++) {
      c = text[i];
      bool digit = (c >= '0' && c <= '9') || (c == '-' && i == start);
      if (!digit && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-') break;
      integer = integer && digit;
    }
    copy.insert(copy.end(), text + start, text + i);
    if (integer && is_beyond_64_bits(text + start, text + i)) copy.insert(copy.end(), {'e', '0'});
  }
  return copy;
}

csj_document *parse(const uint8_t *text, size_t length, size_t max_depth, csj_failure *failure) {
  auto document = std::make_unique<csj_document>();
  error_code error = parse_into(document.get(), text, length, max_depth);
  if (error == simdjson::NUMBER_ERROR) {
    std::vector<uint8_t> copy = with_exponents(text, length);
    size_t copied = copy.size();
    copy.resize(copied + simdjson::SIMDJSON_PADDING);
    error = parse_into(document.get(), copy.data(), copied, max_depth);
  }
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
  if (error) {
    csj_diagnose(text, length, max_depth, simdjson::error_message(error), failure);
    return nullptr;
  }
  if (!csj_check_tape(*document, text, length, max_depth, failure)) return nullptr;
  return document.release();
}

}  // namespace

size_t csj_padding(void) { return simdjson::SIMDJSON_PADDING; }

csj_document *csj_parse(const uint8_t *text, size_t length, size_t max_depth, csj_failure *failure) {
  *failure = csj_failure{};
  try {
    return parse(text, length, max_depth, failure);
  } catch (const std::bad_alloc &) {
    failure->is_out_of_memory = true;
    std::snprintf(failure->message, sizeof failure->message, "not enough memory to parse %zu bytes", length);
    return nullptr;
  }
}

void csj_free(csj_document *document) { delete document; }

size_t csj_root(void) { return 1; }

csj_kind csj_kind_at(const csj_document *document, size_t at) {
  switch (document->type(at)) {
    case 't':
    case 'f':
      return CSJ_BOOL;
    case 'l':
    case 'u':
    case 'd':
      return CSJ_NUMBER;
    case '"':
      return CSJ_STRING;
    case '[':
      return CSJ_ARRAY;
    case '{':
      return CSJ_OBJECT;
    default:
      return CSJ_NULL;
  }
}

bool csj_bool_at(const csj_document *document, size_t at) { return document->type(at) == 't'; }

double csj_double_at(const csj_document *document, size_t at) { return document->number(at); }

bool csj_integer_at(const csj_document *document, size_t at, int64_t *value) {
  uint64_t bits = document->word(at + 1);
  switch (document->type(at)) {
    case 'l':
      *value = static_cast<int64_t>(bits);
      return true;
    case 'd': {
      double number = document->number(at);
      // 2^63 is the first double beyond int64_t; the cast is defined only below it.
      if (!(number >= -0x1p63 && number < 0x1p63)) return false;
      *value = static_cast<int64_t>(number);
      return static_cast<double>(*value) == number;
    }
    default:
      return false;
  }
}

bool csj_natural_at(const csj_document *document, size_t at, uint64_t *value) {
  uint64_t bits = document->word(at + 1);
  switch (document->type(at)) {
    case 'l':
      *value = bits;
      return static_cast<int64_t>(bits) >= 0;
    case 'u':
      *value = bits;
      return true;
    case 'd': {
      double number = document->number(at);
      // 2^64 is the first double beyond uint64_t; the cast is defined only from 0 to below it.
      if (!(number >= 0 && number < 0x1p64)) return false;
      *value = static_cast<uint64_t>(number);
      return static_cast<double>(*value) == number;
    }
    default:
      return false;
  }
}

const uint8_t *csj_string_at(const csj_document *document, size_t at, size_t *length) {
  return document->string(at, length);
}

size_t csj_count_at(const csj_document *document, size_t at) { return document->count(at); }

void csj_children_at(const csj_document *document, size_t at, size_t *first, size_t *end) {
  *first = at + 1;
  *end = document->after(at) - 1;
}

size_t csj_after(const csj_document *document, size_t at) { return document->after(at); }

bool csj_find(const csj_document *document, size_t at, const uint8_t *key, size_t length, size_t *value) {
  for (size_t name = at + 1, end = document->after(at) - 1; name < end; name = document->after(name + 1)) {
    size_t found;
    const uint8_t *bytes = document->string(name, &found);
    if (found == length && std::memcmp(bytes, key, length) == 0) {
      *value = name + 1;
      return true;
    }
  }
  return false;
}
