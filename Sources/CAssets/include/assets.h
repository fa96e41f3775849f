#ifndef NEARFAR_ASSETS_H
#define NEARFAR_ASSETS_H

#include <stddef.h>

/*
 * Files that the program carries within itself, as they stood when it was built. UTF-8, no NUL at the end, alive as long
 * as the program. Functions, because Swift does not import a C array whose length is unknown.
 */

/* openapi.yaml at the repository's top level: what GET /openapi.yaml answers. */
const unsigned char *_Nonnull nearfar_openapi_yaml(void);
size_t nearfar_openapi_yaml_length(void);

/* index.html beside assets.c: what GET / answers. */
const unsigned char *_Nonnull nearfar_index_html(void);
size_t nearfar_index_html_length(void);

/* A file of playground/ beside assets.c: what GET /playground and GET /playground/{name} answer. */
typedef struct {
  const char *_Nonnull name;
  const unsigned char *_Nonnull bytes;
  size_t length;
} nearfar_part;

/* The files of the page, index.html the first. An index beyond the last gives the first. */
size_t nearfar_playground_count(void);
nearfar_part nearfar_playground_part(size_t index);

#endif
