#include "CLinux.h"
#include <malloc.h>

void clinux_give_back_memory(void) { malloc_trim(0); }

void clinux_limit_heaps(int count) { mallopt(M_ARENA_MAX, count); }
