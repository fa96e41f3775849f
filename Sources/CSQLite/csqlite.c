#include "csqlite.h"

sqlite3_destructor_type nf_sqlite_transient(void) { return SQLITE_TRANSIENT; }
