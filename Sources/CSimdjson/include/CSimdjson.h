// A C interface to simdjson's DOM parser, and the writing of numbers.
//
// A document is parsed once into simdjson's tape; a value is a position on that tape. All functions may be called from
// several threads at once on one document, because a document never changes after csj_parse. Functions for one kind of
// value require that the value at `at` is of that kind.

#ifndef CSIMDJSON_H
#define CSIMDJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct csj_document csj_document;

/// The number of bytes, with any content, that must be readable behind the text given to csj_parse.
size_t csj_padding(void);

/// Why and where a text is not acceptable JSON, or that there is not enough memory to tell.
typedef struct {
  char message[192];
  bool is_out_of_memory;
  bool has_offset;
  size_t offset;
} csj_failure;

/// Parses `length` bytes, behind which `csj_padding()` more must be readable. The text is not needed afterwards.
/// `max_depth` is how deep arrays and objects may be nested. Returns NULL and fills `failure` when the text is rejected
/// or there is not enough memory; otherwise the caller frees the document with csj_free.
csj_document *csj_parse(const uint8_t *text, size_t length, size_t max_depth, csj_failure *failure);
void csj_free(csj_document *document);

typedef enum { CSJ_NULL, CSJ_BOOL, CSJ_NUMBER, CSJ_STRING, CSJ_ARRAY, CSJ_OBJECT } csj_kind;

/// The position of the root value.
size_t csj_root(void);
csj_kind csj_kind_at(const csj_document *document, size_t at);
bool csj_bool_at(const csj_document *document, size_t at);
/// The number as a double, whatever its literal looks like.
double csj_double_at(const csj_document *document, size_t at);
/// Returns true and sets `value` when the number is an integer that an int64_t holds exactly.
bool csj_integer_at(const csj_document *document, size_t at, int64_t *value);
/// Returns true and sets `value` when the number is an integer that a uint64_t holds exactly. Otherwise `value` is
/// undefined.
bool csj_natural_at(const csj_document *document, size_t at, uint64_t *value);
/// The unescaped UTF-8 of a string, `*length` bytes, which live as long as the document.
const uint8_t *csj_string_at(const csj_document *document, size_t at, size_t *length);
/// The number of elements of an array or of members of an object.
size_t csj_count_at(const csj_document *document, size_t at);
/// The position of the first child (for an object, its first key) and one past the last child.
void csj_children_at(const csj_document *document, size_t at, size_t *first, size_t *end);
/// The position after the value at `at`.
size_t csj_after(const csj_document *document, size_t at);
/// Finds a member of an object by its key: returns true and sets `value` to the position of its value. The key has
/// `length` bytes of UTF-8.
bool csj_find(const csj_document *document, size_t at, const uint8_t *key, size_t length, size_t *value);

#define CSJ_MAX_RANK 3

typedef enum {
  CSJ_TENSOR_OK,
  CSJ_TENSOR_NOT_A_NUMBER,
  CSJ_TENSOR_RAGGED,
  CSJ_TENSOR_MIXED_DEPTH,
  CSJ_TENSOR_TOO_DEEP,
  CSJ_TENSOR_NOT_FINITE
} csj_tensor_reason;

typedef struct {
  size_t rank, max_rank;
  size_t shape[CSJ_MAX_RANK];
  /// The most numbers that csj_tensor_read writes, whatever the shape says.
  size_t capacity;
  csj_tensor_reason reason;
  /// The index path of the entry at fault.
  size_t path_length;
  size_t path[CSJ_MAX_RANK + 1];
  /// The lengths of a ragged array: that of the arrays before it, and its own.
  size_t expected, found;
} csj_tensor;

/// Reads rank and shape from the first entry of each level. `max_rank` is at most CSJ_MAX_RANK.
csj_tensor csj_tensor_shape(const csj_document *document, size_t at, size_t max_rank);
/// Writes the numbers in row-major order to `out`, which has room for `tensor->capacity`. Returns how many, or 0 with
/// `tensor->reason` set.
size_t csj_tensor_read(const csj_document *document, size_t at, csj_tensor *tensor, float *out);

/// The most characters that one number takes, including a comma.
#define CSJ_MAX_FLOAT 17
#define CSJ_MAX_DOUBLE 32
/// What csj_write_floats may overwrite behind the last number.
#define CSJ_FLOAT_MARGIN 8

/// Writes numbers separated by commas, each in the shortest form that reads back as the same float, and returns the
/// number of bytes. `out` has room for count × CSJ_MAX_FLOAT + CSJ_FLOAT_MARGIN. A number that is not finite is written
/// as 0 and sets `non_finite`.
size_t csj_write_floats(const float *values, size_t count, uint8_t *out, bool *non_finite);
/// The same for one number, by std::to_chars. `out` has room for CSJ_MAX_FLOAT.
size_t csj_write_float(float value, uint8_t *out, bool *non_finite);
/// The same for one double. `out` has room for CSJ_MAX_DOUBLE.
size_t csj_write_double(double value, uint8_t *out, bool *non_finite);
/// Writes the number at a position; an integer literal of up to 64 bits stays an integer. `out` has room for
/// CSJ_MAX_DOUBLE.
size_t csj_write_number_at(const csj_document *document, size_t at, uint8_t *out);
/// The length of the prefix that needs no escaping in a JSON string.
size_t csj_plain_prefix(const uint8_t *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif
