// SQLite's own interface, and what of it Swift cannot say.
#pragma once
#include <sqlite3.h>

#include "faults.h"

// SQLITE_TRANSIENT is a cast in a macro, which Swift does not import.
sqlite3_destructor_type nf_sqlite_transient(void);
