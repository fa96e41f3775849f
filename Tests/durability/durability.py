"""kill -9 while four writers write, a full disk, a read-only folder, a copy while it is written.

usage: durability.py NEARFAR [--rounds N] [--seed N]"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from server import Server, StartFailed
from writers import DIM, PATH, Writer, run, stored, vector

WRITERS = 4


def check(server: Server, writers: list[Writer], before: int) -> list[str]:
    """What is wrong with the store after a restart. `before`: the version of the last look."""
    client = server.client()
    points, described = stored(client)
    problems = [problem for writer in writers for problem in writer.problems]
    undecided = 0
    for writer in writers:
        prefix = f"w{writer.number}."
        undecided += writer.open is not None
        wrong = writer.settle({key: point for key, point in points.items() if key.startswith(prefix)})
        if wrong:
            problems.append(wrong)
    if described["count"] != len(points):
        problems.append(f"count {described['count']}, listed {len(points)}")
    # Every version since the last look was answered to somebody, but for batches whose answer never came.
    answered = sorted(version for writer in writers for version in writer.versions)
    if len(set(answered)) != len(answered):
        problems.append("a version was answered twice")
    missing = set(range(before + 1, described["version"] + 1)) - set(answered)
    if len(missing) > undecided:
        problems.append(f"versions {sorted(missing)[:10]} belong to nobody; {undecided} batches had no answer")
    if answered and answered[-1] > described["version"]:
        problems.append(f"version {answered[-1]} was answered, the store is at {described['version']}")
    # A search finds what is stored, and nothing else.
    query = [1.0] * DIM
    status, found = client.ask("POST", "/neighbors", {"collection": "crash", "vectors": [query], "k": 20})
    expected = sorted(
        (-sum(a * b for a, b in zip(query, p["vector"])) / sum(a * a for a in p["vector"]) ** 0.5 / DIM**0.5, key)
        for key, p in points.items()
    )[:20]
    if status != 200 or any(
        abs(hit["score"] + score) > 1e-6 for hit, (score, _) in zip(found["results"][0], expected)
    ) or len(found["results"][0]) != len(expected):
        problems.append("the search does not find what is stored")
    client.close()
    for writer in writers:
        writer.versions = []
        writer.problems = []
    return problems


def crash_rounds(binary: str, folder: str, rounds: int, seed: int):
    """Yields a name and what is wrong, for each round."""
    generator = random.Random(seed)
    writers = [Writer(number, seed) for number in range(WRITERS)]
    server = Server(binary, folder)
    client = server.client()
    client.ask("PUT", PATH, {"dim": DIM, "metric": "cosine"})
    client.close()
    version = 0
    for number in range(rounds):
        threads = run(server, writers)
        time.sleep(generator.uniform(0.02, 0.8))
        server.kill()
        for thread in threads:
            thread.join(30)
        written = sum(len(writer.versions) for writer in writers)
        server = Server(binary, folder)
        problems = check(server, writers, version)
        client = server.client()
        version = client.ask("GET", PATH)[1]["version"]
        client.close()
        yield f"kill -9, round {number + 1}: {written} answered writes, version {version}", problems
    code = server.stop()
    server = Server(binary, folder)
    yield "a clean stop and start", check(server, writers, version) + ([] if code == 0 else [f"exit {code}"])
    server.stop()


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
    """A folder that cannot be written is served all the same. Under root, which may write anything, as another user."""
    problems = []
    os.mkdir(folder)
    server = Server(binary, folder)
    server.client().ask("PUT", PATH, {"dim": DIM, "metric": "cosine"})
    put(server.client(), [{"id": "kept", "vector": [2.0] * DIM}])
    # Taken away from a running server: what it has open stays open, and reads go on.
    os.chmod(folder, 0o555)
    client = server.client()
    status, answer = put(client, [{"id": "a", "vector": [1.0] * DIM}])
    if status not in (200, 503, 507):
        problems.append(f"a write answers {status}: {answer}")
    if client.ask("GET", PATH)[0] != 200:
        problems.append("reads do not go on")
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
        server.stop()
        if before != {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}:
            problems.append("the folder has changed")
    except StartFailed as failure:
        problems.append(f"a read-only folder is refused: {failure}")
    finally:
        os.chmod(folder, 0o755)
    return problems


def second_process(binary: str, folder: str) -> list[str]:
    server = Server(binary, folder)
    try:
        Server(binary, folder).kill()
        return ["two processes opened one folder"]
    except StartFailed as failure:
        text = f"the folder {folder} is in use"
        return [] if failure.code == 1 and text in failure.text else [f"refused otherwise: {failure}"]
    finally:
        server.stop()


def backup(binary: str, folder: str, copy: str) -> list[str]:
    """Taken while writers write; the copy is one moment, and no writer notices."""
    problems = []
    server = Server(binary, folder)
    server.client().ask("PUT", PATH, {"dim": DIM, "metric": "cosine"})
    writers = [Writer(number, 77) for number in range(WRITERS)]
    threads = run(server, writers)
    time.sleep(0.5)
    before = stored(server.client())[1]["version"]
    os.mkdir(copy)
    done = subprocess.run(
        [binary, "backup", "--data", folder, "--output", f"{copy}/nearfar.sqlite"], capture_output=True, text=True
    )
    after = stored(server.client())[1]["version"]
    time.sleep(0.2)
    server.kill()
    for thread in threads:
        thread.join(30)
    problems += [problem for writer in writers for problem in writer.problems]
    if done.returncode != 0:
        return problems + [f"backup exits {done.returncode}: {done.stderr}"]
    server = Server(binary, copy)
    points, described = stored(server.client())
    if not before <= described["version"] <= after or described["count"] != len(points):
        problems.append(f"the copy is at {described}, taken between {before} and {after}")
    server.stop()
    again = subprocess.run(
        [binary, "backup", "--data", folder, "--output", f"{copy}/nearfar.sqlite"], capture_output=True, text=True
    )
    if again.returncode != 1 or f"{copy}/nearfar.sqlite is there already" not in again.stderr:
        problems.append("a backup replaced a file")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    binary = str(Path(options.binary).resolve())
    top = tempfile.mkdtemp(prefix="nearfar-durability-")
    os.chmod(top, 0o755)
    passed = failed = 0

    def count(name: str, problems: list[str]) -> None:
        nonlocal passed, failed
        passed += not problems
        failed += bool(problems)
        print(f"{'ok' if not problems else 'FAILED'}: {name}" + "".join(f"\n  {text}" for text in problems), flush=True)

    try:
        for name, problems in crash_rounds(binary, f"{top}/crash", options.rounds, options.seed):
            count(name, problems)
        for name, test in [
            ("full disk", lambda: full_disk(binary, f"{top}/full")),
            ("read-only folder", lambda: read_only(binary, f"{top}/read-only")),
            ("a second process", lambda: second_process(binary, f"{top}/second")),
            ("backup while it is written", lambda: backup(binary, f"{top}/backed-up", f"{top}/copy")),
        ]:
            try:
                count(name, test())
            except Exception as error:
                count(name, [f"{type(error).__name__}: {error}"])
    except Exception as error:
        count("kill -9", [f"{type(error).__name__}: {error}"])
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
