// SQLite's own interface, and functions for the parts of it that Swift cannot import.
#pragma once
#include <sqlite3.h>

#include "faults.h"

// SQLITE_TRANSIENT, which is a cast in a macro.
sqlite3_destructor_type nf_sqlite_transient(void);

// The operating system's error number of the last failed write to the write-ahead log or, if there is none, to the
// database; 0 when no write has failed. The number that SQLite keeps for the connection may be that of a later call.
int nf_sqlite_write_errno(sqlite3 *db);

// Sets whether the write-ahead log stays as it is when the last connection closes, instead of being copied into the
// database and removed. SQLite sets this by a function with variable arguments. Returns SQLite's code.
int nf_sqlite_keep_log(sqlite3 *db, int keeps);
