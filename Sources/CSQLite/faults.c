#include "faults.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

// An open file. The default file system's own file follows it in the same block of memory.
typedef struct {
  sqlite3_file base;
  sqlite3_file *real;
} Faulty;

static sqlite3_vfs faulty;
static sqlite3_vfs *system_vfs;
static atomic_long seen;
static atomic_long failing;
static atomic_int failing_code;
static atomic_int failing_stays;
static atomic_long reads_seen;
static atomic_long read_failing;
static atomic_int read_code;

// Counts a write, flush or truncation. Returns SQLITE_OK, or the error with which it is to fail.
static int strike(void) {
  long number = atomic_fetch_add(&seen, 1) + 1;
  long nth = atomic_load(&failing);
  if (nth == 0 || number < nth) return SQLITE_OK;
  if (number > nth && !atomic_load(&failing_stays)) return SQLITE_OK;
  return atomic_load(&failing_code);
}

static sqlite3_file *real(sqlite3_file *file) { return ((Faulty *)file)->real; }
static const sqlite3_io_methods *methods(sqlite3_file *file) { return real(file)->pMethods; }

static int f_close(sqlite3_file *f) { return methods(f)->xClose(real(f)); }

static int f_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
  long number = atomic_fetch_add(&reads_seen, 1) + 1;
  long nth = atomic_load(&read_failing);
  if (nth != 0 && number >= nth) return atomic_load(&read_code);
  return methods(f)->xRead(real(f), to, n, at);
}

// A failing write still writes its first half, because a real one may have written something as well.
static int f_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
  int code = strike();
  if (code == SQLITE_OK) return methods(f)->xWrite(real(f), from, n, at);
  if (n > 1) methods(f)->xWrite(real(f), from, n / 2, at);
  return code;
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size) {
  int code = strike();
  return code == SQLITE_OK ? methods(f)->xTruncate(real(f), size) : code;
}

static int f_sync(sqlite3_file *f, int flags) {
  int code = strike();
  return code == SQLITE_OK ? methods(f)->xSync(real(f), flags) : code;
}

static int f_size(sqlite3_file *f, sqlite3_int64 *size) { return methods(f)->xFileSize(real(f), size); }
static int f_lock(sqlite3_file *f, int level) { return methods(f)->xLock(real(f), level); }
static int f_unlock(sqlite3_file *f, int level) { return methods(f)->xUnlock(real(f), level); }
static int f_reserved(sqlite3_file *f, int *out) { return methods(f)->xCheckReservedLock(real(f), out); }
static int f_control(sqlite3_file *f, int op, void *arg) { return methods(f)->xFileControl(real(f), op, arg); }
static int f_sector(sqlite3_file *f) { return methods(f)->xSectorSize(real(f)); }
static int f_device(sqlite3_file *f) { return methods(f)->xDeviceCharacteristics(real(f)); }
static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out) {
  return methods(f)->xShmMap(real(f), page, size, extend, out);
}
static int f_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
  return methods(f)->xShmLock(real(f), offset, n, flags);
}
static void f_shm_barrier(sqlite3_file *f) { methods(f)->xShmBarrier(real(f)); }
static int f_shm_unmap(sqlite3_file *f, int deletes) { return methods(f)->xShmUnmap(real(f), deletes); }

// Version 2 has no memory-mapped reads, which would bypass these functions.
static const sqlite3_io_methods faulty_methods = {
    2,         f_close,   f_read,    f_write,    f_truncate, f_sync,        f_size,     f_lock, f_unlock, f_reserved,
    f_control, f_sector,  f_device,  f_shm_map,  f_shm_lock, f_shm_barrier, f_shm_unmap, 0,      0,
};

static int f_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out) {
  (void)vfs;
  Faulty *opened = (Faulty *)file;
  opened->real = (sqlite3_file *)(opened + 1);
  memset(opened->real, 0, (size_t)system_vfs->szOsFile);
  int code = system_vfs->xOpen(system_vfs, name, opened->real, flags, out);
  // SQLite calls xClose only when there are methods.
  opened->base.pMethods = opened->real->pMethods ? &faulty_methods : 0;
  return code;
}

int nf_faults_register(void) {
  if (system_vfs) return SQLITE_OK;
  sqlite3_vfs *found = sqlite3_vfs_find(0);
  if (!found) return SQLITE_ERROR;
  system_vfs = found;
  // The functions that are not replaced stay those of the default file system, and use only what is copied here.
  faulty = *found;
  faulty.zName = "nearfar-faults";
  faulty.szOsFile = (int)sizeof(Faulty) + found->szOsFile;
  faulty.xOpen = f_open;
  faulty.pNext = 0;
  return sqlite3_vfs_register(&faulty, 0);
}

void nf_faults_arm(long n, int code, int stays) {
  atomic_store(&failing, 0);
  atomic_store(&seen, 0);
  atomic_store(&failing_code, code);
  atomic_store(&failing_stays, stays);
  atomic_store(&failing, n);
}

void nf_faults_arm_reads(long n, int code) {
  atomic_store(&read_failing, 0);
  atomic_store(&reads_seen, 0);
  atomic_store(&read_code, code);
  atomic_store(&read_failing, n);
}

long nf_faults_seen(void) { return atomic_load(&seen); }

long nf_faults_reads_seen(void) { return atomic_load(&reads_seen); }
