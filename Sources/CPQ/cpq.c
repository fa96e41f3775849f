#include "cpq.h"

void nf_pq_free_notify(PGnotify *notify) { PQfreemem(notify); }

static void drop(void *unused, const PGresult *result) {
  (void)unused;
  (void)result;
}

void nf_pq_silence(PGconn *connection) { PQsetNoticeReceiver(connection, drop, 0); }
