// simdjson's tape, in its documented layout (doc/tape.md): one 64-bit word per token, with the kind in the top byte.
//
//   [ {   payload = position one past the matching bracket (32 bits) and the number of entries (24 bits, saturated)
//   "     payload = offset into the string buffer: u32 length, bytes, NUL
//   l u d the next word is the int64, uint64 or double;  t f n have no payload

#pragma once

#include <simdjson.h>

#include <cstdint>
#include <cstring>

#include "include/CSimdjson.h"

struct csj_document {
  simdjson::dom::document document;

  uint64_t word(size_t at) const { return document.tape[at]; }
  char type(size_t at) const { return static_cast<char>(word(at) >> 56); }
  bool is_container(size_t at) const { return type(at) == '[' || type(at) == '{'; }
  /// One past the last word of the value that starts here.
  size_t after(size_t at) const {
    switch (type(at)) {
      case '[':
      case '{':
        return static_cast<uint32_t>(word(at));
      case 'l':
      case 'u':
      case 'd':
        return at + 2;
      default:
        return at + 1;
    }
  }
  size_t count(size_t at) const {
    constexpr size_t saturated = 0xFFFFFF;
    size_t stated = (word(at) >> 32) & saturated;
    if (stated < saturated) return stated;
    size_t counted = 0;
    for (size_t child = at + 1, end = after(at) - 1; child < end; child = after(child)) counted++;
    return type(at) == '{' ? counted / 2 : counted;
  }
  bool is_number(size_t at) const { return type(at) == 'd' || type(at) == 'l' || type(at) == 'u'; }
  double number(size_t at) const {
    uint64_t bits = word(at + 1);
    switch (type(at)) {
      case 'l':
        return static_cast<double>(static_cast<int64_t>(bits));
      case 'u':
        return static_cast<double>(bits);
      default: {
        double value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
      }
    }
  }
  const uint8_t *string(size_t at, size_t *length) const {
    const uint8_t *entry = document.string_buf.get() + (word(at) & 0x00FFFFFFFFFFFFFF);
    uint32_t bytes;
    std::memcpy(&bytes, entry, sizeof bytes);
    *length = bytes;
    return entry + sizeof bytes;
  }
};

/// Checks for repeated keys and for nesting beyond `max_depth`. Returns false and fills `failure` when it finds either.
bool csj_check_tape(const csj_document &document, const uint8_t *text, size_t length, size_t max_depth,
                    csj_failure *failure);

/// Finds what is wrong with a text that has been rejected, and fills `failure`. `fallback` is the message when this
/// finds no fault.
void csj_diagnose(const uint8_t *text, size_t length, size_t max_depth, const char *fallback, csj_failure *failure);
