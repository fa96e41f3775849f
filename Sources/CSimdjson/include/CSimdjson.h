// A C view of simdjson's DOM, of std::to_chars, and of nothing else.
//
// A document is parsed once into simdjson's tape; a value is a position on that tape. Every function here is safe
// to call from several threads at once on one document, because a document never changes after csj_parse.

#ifndef CSIMDJSON_H
#define CSIMDJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct csj_document csj_document;

/// Bytes that must be readable (with any content) behind the text given to csj_parse.
size_t csj_padding(void);

/// Why and where a text is not acceptable JSON.
typedef struct {
  char message[192];
  bool has_offset;
  size_t offset;
} csj_failure;

/// Parses `length` bytes; `csj_padding()` more must be readable. The text is not needed afterwards.
/// Returns NULL and fills `failure` when the text is refused.
csj_document *csj_parse(const uint8_t *text, size_t length, size_t max_depth, csj_failure *failure);
void csj_free(csj_document *document);

typedef enum { CSJ_NULL, CSJ_BOOL, CSJ_NUMBER, CSJ_STRING, CSJ_ARRAY, CSJ_OBJECT } csj_kind;

/// Position of the document's only root value.
size_t csj_root(void);
csj_kind csj_kind_at(const csj_document *document, size_t at);
bool csj_bool_at(const csj_document *document, size_t at);
/// The number as a double, whatever its literal looked like.
double csj_double_at(const csj_document *document, size_t at);
/// True, with the value, when the number is an integer that an int64_t holds exactly.
bool csj_integer_at(const csj_document *document, size_t at, int64_t *value);
/// True, with the value, when the number is an integer that a uint64_t holds exactly.
bool csj_natural_at(const csj_document *document, size_t at, uint64_t *value);
/// UTF-8 of a string; lives as long as the document.
const uint8_t *csj_string_at(const csj_document *document, size_t at, size_t *length);
/// Elements of an array, members of an object.
size_t csj_count_at(const csj_document *document, size_t at);
/// Position of the first child (for an object: the first key) and one past the last.
void csj_children_at(const csj_document *document, size_t at, size_t *first, size_t *end);
/// Position of the value after this one.
size_t csj_after(const csj_document *document, size_t at);
/// Finds a member's value by its key.
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
  /// Numbers that can be written at most, whatever the shape says.
  size_t capacity;
  csj_tensor_reason reason;
  /// Index path of the entry at fault.
  size_t path_length;
  size_t path[CSJ_MAX_RANK + 1];
  size_t expected, found;
} csj_tensor;

/// Reads rank and shape off the first entries. `max_rank` is at most CSJ_MAX_RANK.
csj_tensor csj_tensor_shape(const csj_document *document, size_t at, size_t max_rank);
/// Writes the numbers row-major to `out` (room for `tensor->capacity`); returns how many, or 0 with `tensor->reason` set.
size_t csj_tensor_read(const csj_document *document, size_t at, csj_tensor *tensor, float *out);

/// Characters that one number can take, a comma included.
#define CSJ_MAX_FLOAT 17
#define CSJ_MAX_DOUBLE 32

/// Writes numbers separated by commas, shortest form that reads back to the same float. `out` has room for
/// count × CSJ_MAX_FLOAT. A number that is not finite is written as 0 and sets `non_finite`.
size_t csj_write_floats(const float *values, size_t count, uint8_t *out, bool *non_finite);
/// The same for one double; `out` has room for CSJ_MAX_DOUBLE.
size_t csj_write_double(double value, uint8_t *out, bool *non_finite);
/// The number at a position; an integer literal stays one.
size_t csj_write_number_at(const csj_document *document, size_t at, uint8_t *out);
/// Length of the prefix that stands in a JSON string as it is.
size_t csj_plain_prefix(const uint8_t *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif
