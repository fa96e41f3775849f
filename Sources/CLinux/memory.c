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
#endif
