// libpq's interface (Debian's libpq-dev), and functions for the parts of it that Swift cannot import.
#pragma once
#include <postgresql/libpq-fe.h>

// Lets go of a notification; libpq documents PQfreemem for it.
void nf_pq_free_notify(PGnotify *notify);

// Drops the notices of a server, which libpq writes to standard error by default.
void nf_pq_silence(PGconn *connection);
