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

/* The parts of the page at /playground. */
static const unsigned char playground_index_html[] = {
#embed "playground/index.html"
};
static const unsigned char playground_css[] = {
#embed "playground/playground.css"
};
static const unsigned char playground_js[] = {
#embed "playground/playground.js"
};
static const unsigned char playground_score_js[] = {
#embed "playground/score.js"
};
static const unsigned char playground_search_js[] = {
#embed "playground/search.js"
};
static const unsigned char playground_results_js[] = {
#embed "playground/results.js"
};
static const unsigned char playground_heatmap_js[] = {
#embed "playground/heatmap.js"
};
static const unsigned char playground_temperature_js[] = {
#embed "playground/temperature.js"
};
static const unsigned char playground_contrastive_js[] = {
#embed "playground/contrastive.js"
};
static const unsigned char playground_rows_js[] = {
#embed "playground/rows.js"
};
static const unsigned char playground_service_js[] = {
#embed "playground/service.js"
};
static const unsigned char playground_elements_js[] = {
#embed "playground/elements.js"
};
static const unsigned char playground_start_js[] = {
#embed "playground/start.js"
};
static const unsigned char playground_options_js[] = {
#embed "playground/options.js"
};
static const unsigned char playground_objectives_js[] = {
#embed "playground/objectives.js"
};
static const unsigned char playground_queues_js[] = {
#embed "playground/queues.js"
};
static const unsigned char playground_collections_js[] = {
#embed "playground/collections.js"
};
static const unsigned char playground_curl_js[] = {
#embed "playground/curl.js"
};
static const unsigned char playground_key_js[] = {
#embed "playground/key.js"
};

#define PART(file, bytes) {file, bytes, sizeof bytes}
static const nearfar_part parts[] = {
    PART("index.html", playground_index_html),
    PART("playground.css", playground_css),
    PART("playground.js", playground_js),
    PART("score.js", playground_score_js),
    PART("search.js", playground_search_js),
    PART("results.js", playground_results_js),
    PART("heatmap.js", playground_heatmap_js),
    PART("temperature.js", playground_temperature_js),
    PART("contrastive.js", playground_contrastive_js),
    PART("rows.js", playground_rows_js),
    PART("service.js", playground_service_js),
    PART("elements.js", playground_elements_js),
    PART("start.js", playground_start_js),
    PART("options.js", playground_options_js),
    PART("objectives.js", playground_objectives_js),
    PART("queues.js", playground_queues_js),
    PART("collections.js", playground_collections_js),
    PART("curl.js", playground_curl_js),
    PART("key.js", playground_key_js),
};

size_t nearfar_playground_count(void) { return sizeof parts / sizeof parts[0]; }
nearfar_part nearfar_playground_part(size_t index) { return parts[index < nearfar_playground_count() ? index : 0]; }
