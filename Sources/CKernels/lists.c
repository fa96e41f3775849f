// Lists of neighbours that are read while they change. Every word is atomic, so that a reader sees slots that have been
// in the list, never anything else.
#include "codes.h"

size_t nf_list_read(const nf_codes *codes, size_t slot, uint32_t *out) {
  const uint32_t *list = nf_list(codes, slot);
  size_t count = __atomic_load_n(list, __ATOMIC_ACQUIRE);
  if (count > codes->capacity) count = codes->capacity;
  for (size_t i = 0; i < count; i++) out[i] = __atomic_load_n(list + 1 + i, __ATOMIC_ACQUIRE);
  return count;
}

void nf_list_write(const nf_codes *codes, size_t slot, const uint32_t *neighbors, size_t count) {
  uint32_t *list = nf_list(codes, slot);
  if (count > codes->capacity) count = codes->capacity;
  for (size_t i = 0; i < count; i++) __atomic_store_n(list + 1 + i, neighbors[i], __ATOMIC_RELEASE);
  __atomic_store_n(list, (uint32_t)count, __ATOMIC_RELEASE);
}

int nf_list_append(const nf_codes *codes, size_t slot, uint32_t neighbor) {
  uint32_t *list = nf_list(codes, slot);
  const uint32_t count = __atomic_load_n(list, __ATOMIC_RELAXED);
  if (count >= codes->capacity) return 0;
  __atomic_store_n(list + 1 + count, neighbor, __ATOMIC_RELEASE);
  __atomic_store_n(list, count + 1, __ATOMIC_RELEASE);
  return 1;
}

int nf_list_contains(const nf_codes *codes, size_t slot, uint32_t wanted) {
  const uint32_t *list = nf_list(codes, slot);
  size_t count = __atomic_load_n(list, __ATOMIC_ACQUIRE);
  if (count > codes->capacity) count = codes->capacity;
  for (size_t i = 0; i < count; i++)
    if (__atomic_load_n(list + 1 + i, __ATOMIC_RELAXED) == wanted) return 1;
  return 0;
}
