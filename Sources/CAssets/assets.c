#include "assets.h"

/* #embed is C23's; clang has it in the older dialect that the package builds C with, but remarks on it. */
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char openapi_yaml[] = {
#embed "../../openapi.yaml"
};

static const unsigned char index_html[] = {
#embed "index.html"
};

const unsigned char *nearfar_openapi_yaml(void) { return openapi_yaml; }
size_t nearfar_openapi_yaml_length(void) { return sizeof openapi_yaml; }

const unsigned char *nearfar_index_html(void) { return index_html; }
size_t nearfar_index_html_length(void) { return sizeof index_html; }
