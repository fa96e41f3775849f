// SQLite's own interface, and what Swift cannot import of it.
#pragma once
#include <sqlite3.h>

#include "faults.h"

// SQLITE_TRANSIENT is a cast in a macro, which Swift does not import.
sqlite3_destructor_type nf_sqlite_transient(void);

// The operating system's error number of the last write that failed, to the log or else to the database; 0 when there is none.
// The number that SQLite keeps for the connection may be that of a later call.
int nf_sqlite_write_errno(sqlite3 *db);

// Whether the log stays as it is when the last connection closes, instead of being folded into the database and removed: a
// function with variable arguments, which Swift does not import. Returns SQLite's code.
int nf_sqlite_keep_log(sqlite3 *db, int keeps);
