"""A disk that is full, a folder that cannot be written."""

import os
import random
import resource
import signal

from content import stored
from server import Server, StartFailed
from writers import DIM, PATH, vector


def put(client, points) -> tuple[int, dict]:
    return client.ask("PUT", f"{PATH}/points", {"points": points})


def full_disk(binary: str, folder: str) -> list[str]:
    """The file-size limit stands for the disk: beyond it a write fails, and the limit can be lifted from outside."""
    problems = []
    limit = 4 << 20

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    server = Server(binary, folder, prepare=prepare)
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
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    later = [{"id": "later", "vector": vector(generator)}]
    status, answer = put(client, later)
    if status != 200 or answer["version"] != version + 1:
        problems.append(f"with room again a write answers {status}: {answer}")
    server.kill()
    server = Server(binary, folder)
    found, described = stored(server.client())
    if found != {point["id"]: point for point in kept + later} or described["version"] != version + 1:
        problems.append("what was written around a full disk is not there after a kill")
    server.stop()
    return problems


def read_only(binary: str, folder: str) -> list[str]:
    """A folder that cannot be written is refused by name. Under root, which may write anything, as another user."""
    problems = []
    os.mkdir(folder)
    server = Server(binary, folder)
    server.client().ask("PUT", PATH, {"dim": DIM, "metric": "cosine"})
    # Taken away from a running server: what it has open stays open, and reads go on.
    os.chmod(folder, 0o555)
    client = server.client()
    status, answer = put(client, [{"id": "a", "vector": [1.0] * DIM}])
    if status not in (200, 503, 507):
        problems.append(f"a write answers {status}: {answer}")
    if client.ask("GET", PATH)[0] != 200:
        problems.append("reads do not go on")
    server.stop()
    try:
        Server(binary, folder, user=65534 if os.getuid() == 0 else None).kill()
        problems.append("a read-only folder was opened")
    except StartFailed as failure:
        if failure.code != 1 or folder not in failure.text:
            problems.append(f"refused without its name: {failure}")
    finally:
        os.chmod(folder, 0o755)
    return problems
