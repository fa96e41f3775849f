// Thin C interface to zlib: gzip (RFC 1952) in pieces.
#ifndef NEARFAR_CZLIB_H
#define NEARFAR_CZLIB_H

#include <stddef.h>
#include <stdint.h>

typedef struct nf_inflater nf_inflater;
typedef struct nf_deflater nf_deflater;

enum {
  NF_ZLIB_MORE = 0,    // the room is full, or the input is used up: call again with more of either
  NF_ZLIB_END = 1,     // the stream has ended
  NF_ZLIB_CORRUPT = 2, // the input is not what it should be
  NF_ZLIB_NO_MEMORY = 3
};

// Reads one gzip member. NULL without memory.
nf_inflater *nf_inflater_new(void);
// Reads from `count` bytes at `input` and writes at most `room` bytes; `used` and `made` say how many were read and written.
int nf_inflater_run(nf_inflater *inflater, const uint8_t *input, size_t count, size_t *used, uint8_t *output, size_t room, size_t *made);
// Begins with the next member.
int nf_inflater_reset(nf_inflater *inflater);
void nf_inflater_free(nf_inflater *inflater);

// Writes one gzip member. `level` is from 1, the fastest, to 9. NULL without memory.
nf_deflater *nf_deflater_new(int level);
// The most bytes that `count` bytes can become.
size_t nf_deflater_bound(nf_deflater *deflater, size_t count);
// As nf_inflater_run; `ends` says that nothing follows the input.
int nf_deflater_run(nf_deflater *deflater, const uint8_t *input, size_t count, size_t *used, uint8_t *output, size_t room, size_t *made,
                    int ends);
void nf_deflater_free(nf_deflater *deflater);

#endif
