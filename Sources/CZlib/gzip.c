#include "CZlib.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

struct nf_inflater {
  z_stream stream;
};

struct nf_deflater {
  z_stream stream;
};

// The largest window, and 16 for the header of gzip.
enum { WINDOW = 15 + 16, MEMORY_LEVEL = 8 };

// zlib counts in unsigned int.
static void lend(z_stream *stream, const uint8_t *input, size_t count, uint8_t *output, size_t room) {
  stream->next_in = (Bytef *)input;
  stream->avail_in = count < UINT_MAX ? (uInt)count : UINT_MAX;
  stream->next_out = output;
  stream->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
}

static int outcome(int result) {
  switch (result) {
    case Z_STREAM_END: return NF_ZLIB_END;
    case Z_OK:
    case Z_BUF_ERROR: return NF_ZLIB_MORE;
    case Z_MEM_ERROR: return NF_ZLIB_NO_MEMORY;
    default: return NF_ZLIB_CORRUPT;
  }
}

nf_inflater *nf_inflater_new(void) {
  nf_inflater *made = calloc(1, sizeof *made);
  if (made && inflateInit2(&made->stream, WINDOW) != Z_OK) {
    free(made);
    return NULL;
  }
  return made;
}

int nf_inflater_run(nf_inflater *inflater, const uint8_t *input, size_t count, size_t *used, uint8_t *output, size_t room, size_t *made) {
  z_stream *stream = &inflater->stream;
  lend(stream, input, count, output, room);
  const int result = inflate(stream, Z_NO_FLUSH);
  *used = (size_t)(stream->next_in - input);
  *made = (size_t)(stream->next_out - output);
  return outcome(result);
}

int nf_inflater_reset(nf_inflater *inflater) { return inflateReset(&inflater->stream) == Z_OK; }

void nf_inflater_free(nf_inflater *inflater) {
  if (!inflater) return;
  inflateEnd(&inflater->stream);
  free(inflater);
}

nf_deflater *nf_deflater_new(int level) {
  nf_deflater *made = calloc(1, sizeof *made);
  if (made && deflateInit2(&made->stream, level, Z_DEFLATED, WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
    free(made);
    return NULL;
  }
  return made;
}

size_t nf_deflater_bound(nf_deflater *deflater, size_t count) { return deflateBound(&deflater->stream, count); }

int nf_deflater_run(nf_deflater *deflater, const uint8_t *input, size_t count, size_t *used, uint8_t *output, size_t room, size_t *made,
                    int ends) {
  z_stream *stream = &deflater->stream;
  lend(stream, input, count, output, room);
  const int result = deflate(stream, ends && stream->avail_in == count ? Z_FINISH : Z_NO_FLUSH);
  *used = (size_t)(stream->next_in - input);
  *made = (size_t)(stream->next_out - output);
  return outcome(result);
}

void nf_deflater_free(nf_deflater *deflater) {
  if (!deflater) return;
  deflateEnd(&deflater->stream);
  free(deflater);
}
