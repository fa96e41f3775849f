#ifdef __linux__
#include "CLinux.h"
#include <features.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

void clinux_give_back_memory(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

void clinux_limit_heaps(int count) {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, count);
#else
  (void)count;
#endif
}
#endif
