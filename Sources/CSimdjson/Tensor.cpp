// Copies nested arrays of numbers to one flat buffer.

#include <cmath>
#include <limits>

#include "Tape.hpp"

namespace {

csj_tensor_reason misplaced(const csj_document &document, size_t at) {
  // An array where a number belongs, or the reverse, is a matter of depth; anything else is not a number at all.
  return document.type(at) == '[' || document.is_number(at) ? CSJ_TENSOR_MIXED_DEPTH : CSJ_TENSOR_NOT_A_NUMBER;
}

struct Fill {
  const csj_document &document;
  csj_tensor &tensor;
  float *out;
  size_t written = 0;

  bool fail(csj_tensor_reason reason, size_t axis) {
    tensor.reason = reason;
    tensor.path_length = axis;
    return false;
  }

  /// Reads an innermost array, which has shape[axis] numbers.
  bool row(size_t at, size_t axis) {
    const uint64_t *tape = document.document.tape.get();
    for (size_t i = 0, child = at + 1, n = tensor.shape[axis]; i < n; i++, child += 2) {
      // All entries before this one are numbers, which take two words of the tape each.
      uint64_t bits = tape[child + 1];
      double value;
      switch (static_cast<char>(tape[child] >> 56)) {
        case 'd':
          std::memcpy(&value, &bits, sizeof value);
          break;
        case 'l':
          value = static_cast<double>(static_cast<int64_t>(bits));
          break;
        case 'u':
          value = static_cast<double>(bits);
          break;
        default:
          tensor.path[axis] = i;
          if (document.type(child) == '[' && tensor.rank == tensor.max_rank) return fail(CSJ_TENSOR_TOO_DEEP, axis + 1);
          return fail(misplaced(document, child), axis + 1);
      }
      float narrow = static_cast<float>(value);
      if (!std::isfinite(narrow)) {
        tensor.path[axis] = i;
        return fail(CSJ_TENSOR_NOT_FINITE, axis + 1);
      }
      out[written++] = narrow;
    }
    return true;
  }

  /// Reads the value at the index path `path[0 ..< axis]`, which must be an array.
  bool value(size_t at, size_t axis) {
    if (document.type(at) != '[') return fail(misplaced(document, at), axis);
    size_t found = document.count(at);
    if (found != tensor.shape[axis]) {
      tensor.expected = tensor.shape[axis];
      tensor.found = found;
      return fail(CSJ_TENSOR_RAGGED, axis);
    }
    if (axis + 1 == tensor.rank) return row(at, axis);
    for (size_t i = 0, child = at + 1; i < found; i++, child = document.after(child)) {
      tensor.path[axis] = i;
      if (!value(child, axis + 1)) return false;
    }
    return true;
  }
};

}  // namespace

csj_tensor csj_tensor_shape(const csj_document *document, size_t at, size_t max_rank) {
  csj_tensor tensor{};
  tensor.max_rank = max_rank < CSJ_MAX_RANK ? max_rank : CSJ_MAX_RANK;
  // Each number takes two words of the tape. This bounds the allocation when the first entries suggest a larger shape
  // than the array has.
  tensor.capacity = (document->after(at) - at) / 2;
  size_t product = 1;
  size_t first = at;
  while (document->type(first) == '[') {
    if (tensor.rank == tensor.max_rank) {
      tensor.reason = CSJ_TENSOR_TOO_DEEP;
      tensor.path_length = tensor.rank;
      return tensor;
    }
    size_t count = document->count(first);
    tensor.shape[tensor.rank++] = count;
    if (__builtin_mul_overflow(product, count, &product)) product = std::numeric_limits<size_t>::max();
    if (count == 0) break;
    first++;
  }
  if (product < tensor.capacity) tensor.capacity = product;
  return tensor;
}

size_t csj_tensor_read(const csj_document *document, size_t at, csj_tensor *tensor, float *out) {
  if (tensor->reason != CSJ_TENSOR_OK) return 0;
  Fill fill{*document, *tensor, out};
  if (tensor->rank > 0) return fill.value(at, 0) ? fill.written : 0;
  if (!document->is_number(at)) {
    tensor->reason = CSJ_TENSOR_NOT_A_NUMBER;
    return 0;
  }
  out[0] = static_cast<float>(document->number(at));
  if (std::isfinite(out[0])) return 1;
  tensor->reason = CSJ_TENSOR_NOT_FINITE;
  return 0;
}
