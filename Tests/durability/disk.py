"""Tests with a full disk and with a folder that cannot be written."""

import os
import random
import resource
import signal

from content import stored
from server import Server, StartFailed
from writers import DIM, PATH, vector

# The largest size of a file, in bytes.
LIMIT = 4 << 20
# The dimension of a collection whose blocks of 1,024 rows are larger than LIMIT.
WIDE = 2048


def put(client, points) -> tuple[int, dict]:
    return client.ask("PUT", f"{PATH}/points", {"points": points})


def limited() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))


def lift(server: Server) -> None:
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def full_disk(binary: str, folder: str, low_memory: bool = False) -> list[str]:
    """Simulates a full disk by a limit on the file size, beyond which writes fail, and lifts the limit later."""
    problems = []
    server = Server(binary, folder, prepare=limited, low_memory=low_memory)
    client = server.client()
    client.ask("PUT", PATH, {"dim": DIM, "metric": "cosine"})
    generator = random.Random(3)
    kept: list[dict] = []
    status = 200
    version = 0
    for batch in range(400):
        points = [
            {"id": f"{batch}.{n}", "vector": vector(generator), "text": "x" * 2000} for n in range(100)
        ]
        status, answer = put(client, points)
        if status != 200:
            break
        kept += points
        version = answer["version"]
    if status != 507:
        problems.append(f"a full disk answers {status}, not 507: {answer}")
    status, answer = client.ask("POST", f"{PATH}/points/delete", {"ids": [point["id"] for point in kept]})
    if status not in (200, 507):
        problems.append(f"a deletion on a full disk answers {status}: {answer}")
    if status == 200:
        kept = []
        version = answer["version"]
    found, described = stored(client)
    if found != {point["id"]: point for point in kept} or described["version"] != version:
        problems.append("a full disk changed what is read")
    lift(server)
    later = [{"id": "later", "vector": vector(generator)}]
    status, answer = put(client, later)
    if status != 200 or answer["version"] != version + 1:
        problems.append(f"with room again a write answers {status}: {answer}")
    server.kill()
    server = Server(binary, folder, low_memory=low_memory)
    found, described = stored(server.client())
    if found != {point["id"]: point for point in kept + later} or described["version"] != version + 1:
        problems.append("what was written around a full disk is not there after a kill")
    server.stop()
    return problems


def no_room_for_rows(binary: str, folder: str) -> list[str]:
    """With --low-memory, rows are in a separate file, in which space is allocated before anything is stored."""
    problems = []
    server = Server(binary, folder, prepare=limited, low_memory=True)
    client = server.client()
    client.ask("PUT", PATH, {"dim": DIM, "metric": "cosine"})
    client.ask("PUT", "/collections/wide", {"dim": WIDE, "metric": "dot"})
    point = {"id": "a", "vector": [1.0] * WIDE}

    def write() -> tuple[int, dict]:
        return client.ask("PUT", "/collections/wide/points", {"points": [point]})

    def look() -> tuple[int, int]:
        described = client.ask("GET", "/collections/wide")[1]
        return described["count"], described["version"]

    for _ in range(2):
        status, answer = write()
        if status != 507:
            problems.append(f"without room for a row a write answers {status}: {answer}")
    if look() != (0, 0) or client.ask("GET", "/collections/wide/points/a")[0] != 404:
        problems.append(f"a write without room changed what is read: {look()}")
    status, answer = put(client, [{"id": "narrow", "vector": [1.0] * DIM}])
    if status != 200:
        problems.append(f"a write to another collection answers {status}: {answer}")
    lift(server)
    status, answer = write()
    if status != 200 or answer["version"] != 1:
        problems.append(f"with room again a write answers {status}: {answer}")
    client.close()
    server.kill()
    server = Server(binary, folder, low_memory=True)
    client = server.client()
    status, answer = client.ask("GET", "/collections/wide/points/a")
    if status != 200 or answer["vector"] != point["vector"] or look() != (1, 1):
        problems.append(f"what was written with room again is not there after a kill: {status}, {look()}")
    server.stop()
    return problems


def read_only(binary: str, folder: str) -> list[str]:
    """Checks that a folder that cannot be written is served. As root could write it, root runs the server as another user."""
    problems = []
    os.mkdir(folder)
    server = Server(binary, folder)
    server.client().ask("PUT", PATH, {"dim": DIM, "metric": "cosine", "recall_target": 0.9})
    put(server.client(), [{"id": "kept", "vector": [2.0] * DIM}])
    # The permissions are removed while the server runs. Its open files stay open, and reads still work.
    os.chmod(folder, 0o555)
    client = server.client()
    status, answer = put(client, [{"id": "a", "vector": [1.0] * DIM}])
    if status not in (200, 503, 507):
        problems.append(f"a write answers {status}: {answer}")
    if client.ask("GET", PATH)[0] != 200:
        problems.append("reads do not work any more")
    server.stop()
    before = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}
    try:
        server = Server(binary, folder, user=65534 if os.getuid() == 0 else None)
        client = server.client()
        if client.ask("GET", f"{PATH}/points/kept")[0] != 200:
            problems.append("a point that is there is not read")
        if not client.ask("GET", "/info")[1].get("read_only"):
            problems.append("/info does not say that it is read-only")
        status, answer = put(client, [{"id": "b", "vector": [1.0] * DIM}])
        if status != 503 or "read-only" not in str(answer):
            problems.append(f"a write answers {status}: {answer}")
        for target, expected in [(0.9, 200), (None, 503), (0.8, 503)]:
            status, answer = client.ask("PUT", PATH, {"dim": DIM, "metric": "cosine", "recall_target": target})
            if status != expected:
                problems.append(f"a recall target of {target} answers {status}: {answer}")
        if client.ask("GET", PATH)[1].get("recall_target") != 0.9:
            problems.append("the collection's recall target is not what it was")
        server.stop()
        if before != {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}:
            problems.append("the folder has changed")
    except StartFailed as failure:
        problems.append(f"a read-only folder is refused: {failure}")
    finally:
        os.chmod(folder, 0o755)
    return problems
