"""What may happen to a write's session with the database. Each function lets it happen to one write, and returns that write.

The database is well again when a function returns, except that sessions may have to be made anew.
"""

import time

from database import Lock
from frozen import freeze, thaw

ROW = "SELECT 1 FROM nearfar.collections WHERE name = 'faults' FOR UPDATE"


def ended_at_some_moment(trial):
    """The session is ended somewhere between the first and the last statement, or before or after."""
    end = trial.database.ender("nearfar writer")
    points = trial.random.choice([1, 40, 1000])
    write = trial.send(points)
    # About as long as the write takes.
    time.sleep(trial.random.uniform(0, 0.01 + points / 10_000))
    end()
    return write


def ended_while_it_waits(*statements: str):
    """The session is ended in the statement that the lock of another session holds up."""
    def fault(trial):
        lock = Lock(trial.database, *statements)
        write = trial.send()
        trial.wait_for("wait_event_type = 'Lock'")
        trial.read()
        trial.database.terminate("nearfar writer")
        lock.release()
        return write

    return fault


def canceled(trial):
    """The statement is canceled, as by an operator."""
    lock = Lock(trial.database, ROW)
    write = trial.send()
    trial.wait_for("wait_event_type = 'Lock'")
    trial.database.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'nearfar writer'")
    lock.release()
    return write


def ended_at_commit(trial):
    """COMMIT waits for a standby that is not there, and the session is ended meanwhile: it is committed, and nobody said so."""
    trial.database.set("synchronous_standby_names", "'absent'")
    try:
        write = trial.send()
        trial.wait_for("wait_event = 'SyncRep'")
        trial.read()
        trial.database.terminate("nearfar writer")
    finally:
        trial.database.set("synchronous_standby_names", None)
    return write


def no_answer_to_commit(trial):
    """COMMIT waits for a standby for longer than the service does."""
    trial.database.set("synchronous_standby_names", "'absent'")
    try:
        write = trial.send()
        trial.wait_for("wait_event = 'SyncRep'")
        time.sleep(6)
    finally:
        trial.database.set("synchronous_standby_names", None)
    return write


def row_is_locked(trial):
    """Another session holds the row of the collection for three seconds."""
    lock = Lock(trial.database, ROW)
    write = trial.send()
    time.sleep(3)
    trial.read()
    lock.release()
    return write


def not_serializable(trial):
    """Another transaction has changed the row meanwhile, under an isolation that bears no such thing."""
    trial.database.set("default_transaction_isolation", "'repeatable read'")
    try:
        lock = Lock(trial.database, "UPDATE nearfar.collections SET horizon = horizon WHERE name = 'faults'")
        write = trial.send()
        trial.wait_for("wait_event_type = 'Lock'")
        lock.release("COMMIT")
        write.wait()
    finally:
        trial.database.set("default_transaction_isolation", None)
    return write


def deadlock(trial):
    """Another session locks the same in another order; PostgreSQL ends one of the two transactions."""
    lock = Lock(trial.database, "LOCK TABLE nearfar.points IN SHARE ROW EXCLUSIVE MODE")
    write = trial.send()
    trial.wait_for("wait_event_type = 'Lock'")
    lock.send(ROW)
    time.sleep(1.3)
    lock.release()
    return write


def refused_as(state: str, status: int):
    """A table answers as PostgreSQL does when the disk is full (53100) or memory is short (53200)."""
    def fault(trial):
        table = trial.random.choice(["points", "changes", "collections"])
        trial.database.ask(f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON nearfar.{table} FOR EACH ROW EXECUTE FUNCTION refuse('{state}')")
        try:
            write = trial.send()
            write.wait()
        finally:
            trial.database.ask(f"DROP TRIGGER refuse ON nearfar.{table}")
        write.expects = {status}
        return write

    return fault


def read_only(trial):
    """The server takes no writes any more, as after a failover that leaves a connection at the old one."""
    trial.database.set("default_transaction_read_only", "on")
    try:
        write = trial.send()
        write.wait()
        trial.read()
    finally:
        trial.database.set("default_transaction_read_only", None)
    write.expects = {503}
    write.says = "can only be read"
    return write


def away(trial):
    """The server is stopped for a while."""
    trial.database.stop(trial.random.choice(["immediate", "fast"]))
    try:
        write = trial.send()
        write.wait()
        trial.read()
    finally:
        trial.database.start()
    write.expects = {503}
    write.within = 2
    return write


def restarted(trial):
    """The server is stopped and started while a write is under way."""
    write = trial.send(points=2000)
    time.sleep(trial.random.uniform(0, 0.15))
    trial.database.restart(trial.random.choice(["immediate", "fast"]))
    return write


def frozen(trial):
    """The server's processes stand still, as behind a network that loses everything, and go on later with what they had begun."""
    write = None
    lock = Lock(trial.database, ROW) if trial.random.random() < 0.5 else None
    if lock is not None:
        write = trial.send()
        trial.wait_for("wait_event_type = 'Lock'")
    stopped = freeze(trial.database.folder)
    try:
        write = write or trial.send()
        began = time.monotonic()
        write.wait()
        trial.frozen.append(time.monotonic() - began)
        trial.read()
    finally:
        thaw(stopped)
        if lock is not None:
            lock.release()
    write.expects = {503}
    write.within = 2.5
    return write


def no_more_sessions(trial):
    """The server has no connection left for the role."""
    trial.database.ask("ALTER ROLE service CONNECTION LIMIT 0")
    try:
        trial.database.terminate("nearfar writer")
        write = trial.send()
        write.wait()
        trial.read()
    finally:
        trial.database.ask("ALTER ROLE service CONNECTION LIMIT -1")
    write.expects = {503}
    write.says = "too many connections"
    return write


def password_changed(trial):
    """The role has another password, and the session has to be made anew."""
    trial.database.ask("ALTER ROLE service PASSWORD 'another'")
    try:
        trial.database.terminate("nearfar writer")
        write = trial.send()
        write.wait()
        trial.read()
    finally:
        trial.database.ask(f"ALTER ROLE service PASSWORD '{trial.password}'")
    write.expects = {503}
    write.says = "password authentication failed"
    return write


# How often each is chosen among a hundred. Those that last long come seldom.
FAULTS = {
    "ended at some moment": (24, ended_at_some_moment),
    "ended while it waits for the row": (8, ended_while_it_waits(ROW)),
    "ended while it writes points": (6, ended_while_it_waits("LOCK TABLE nearfar.points IN EXCLUSIVE MODE")),
    "ended while it writes the change": (6, ended_while_it_waits("LOCK TABLE nearfar.changes IN EXCLUSIVE MODE")),
    "ended while it writes the key": (4, ended_while_it_waits("LOCK TABLE nearfar.keys IN EXCLUSIVE MODE")),
    "ended at COMMIT": (8, ended_at_commit),
    "no answer to COMMIT": (2, no_answer_to_commit),
    "canceled": (6, canceled),
    "the row is locked": (2, row_is_locked),
    "not serializable": (6, not_serializable),
    "deadlock": (3, deadlock),
    "the disk is full": (5, refused_as("53100", 507)),
    "memory is short": (3, refused_as("53200", 503)),
    "read-only": (4, read_only),
    "away": (3, away),
    "restarted": (4, restarted),
    "frozen": (2, frozen),
    "no more sessions": (2, no_more_sessions),
    "the password changed": (2, password_changed),
}
