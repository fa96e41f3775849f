// Checks that simdjson does not make: repeated keys, and the exact depth of nesting.

#include <algorithm>
#include <cstdio>
#include <vector>

#include "Tape.hpp"

namespace {

struct Key {
  const uint8_t *bytes;
  size_t length;
  size_t at;
};

bool same_text(const Key &a, const Key &b) {
  return a.length == b.length && std::memcmp(a.bytes, b.bytes, a.length) == 0;
}

/// Orders keys by length first, so that most comparisons do not read the text.
bool precedes(const Key &a, const Key &b) {
  if (a.length != b.length) return a.length < b.length;
  int order = std::memcmp(a.bytes, b.bytes, a.length);
  return order != 0 ? order < 0 : a.at < b.at;
}

/// The position of the first key that repeats an earlier one; 0 when all keys differ.
size_t repeated(std::vector<Key> &keys) {
  constexpr size_t few = 12;
  if (keys.size() <= few) {
    for (size_t i = 1; i < keys.size(); i++)
      for (size_t j = 0; j < i; j++)
        if (same_text(keys[i], keys[j])) return keys[i].at;
    return 0;
  }
  std::sort(keys.begin(), keys.end(), precedes);
  size_t first = 0;
  for (size_t i = 1; i < keys.size(); i++)
    if (same_text(keys[i - 1], keys[i]) && (first == 0 || keys[i].at < first)) first = keys[i].at;
  return first;
}

/// The offset in the text of the string at position `at`. The tape holds strings in the order of the text, so that the
/// n-th string of the tape is the n-th string literal of the text.
size_t offset_of_string(const csj_document &document, size_t at, const uint8_t *text, size_t length) {
  size_t before = 0;
  for (size_t i = csj_root(); i < at; i += document.is_container(i) ? 1 : document.after(i) - i)
    if (document.type(i) == '"') before++;
  for (size_t i = 0; i < length; i++) {
    if (text[i] != '"') continue;
    if (before-- == 0) return i;
    for (i++; i < length && text[i] != '"'; i++)
      if (text[i] == '\\') i++;
  }
  return length;
}

}  // namespace

bool csj_check_tape(const csj_document &document, const uint8_t *text, size_t length, size_t max_depth,
                    csj_failure *failure) {
  std::vector<Key> keys;
  size_t depth = 0;
  // One pass over the tape; the keys of an object are collected when it opens.
  for (size_t at = csj_root(), end = static_cast<uint32_t>(document.word(0)); at < end;) {
    char type = document.type(at);
    if (type == ']' || type == '}') depth--;
    if (type == '[' || type == '{') {
      if (++depth > max_depth) {
        csj_diagnose(text, length, max_depth, "nesting is too deep", failure);
        return false;
      }
    }
    if (type == '{') {
      keys.clear();
      for (size_t name = at + 1, close = document.after(at) - 1; name < close; name = document.after(name + 1)) {
        Key key{nullptr, 0, name};
        key.bytes = document.string(name, &key.length);
        keys.push_back(key);
      }
      if (size_t twice = repeated(keys)) {
        size_t size;
        const uint8_t *name = document.string(twice, &size);
        // The key is cut between two characters, because the message is UTF-8 as well.
        size_t shown = std::min<size_t>(size, 64);
        while (shown < size && shown > 0 && (name[shown] & 0xC0) == 0x80) shown--;
        std::snprintf(failure->message, sizeof failure->message, "the key \"%.*s\"%s stands twice in one object",
                      static_cast<int>(shown), reinterpret_cast<const char *>(name), shown < size ? "…" : "");
        failure->has_offset = true;
        failure->offset = offset_of_string(document, twice, text, length);
        return false;
      }
    }
    at += type == 'l' || type == 'u' || type == 'd' ? 2 : 1;
  }
  return true;
}
