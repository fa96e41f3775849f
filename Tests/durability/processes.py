"""Tests with two processes on one folder, and with a backup that is taken while writers write."""

import os
import subprocess
import time

from content import stored
from server import Server, StartFailed, check
from writers import DIM, PATH, WRITERS, Writer, run


def second_process(binary: str, folder: str) -> list[str]:
    server = Server(binary, folder)
    try:
        Server(binary, folder).kill()
        return ["two processes opened one folder"]
    except StartFailed as failure:
        text = f"the folder {folder} is in use"
        problems = [] if failure.code == 1 and text in failure.text else [f"refused otherwise: {failure}"]
        code, lines, errors = check(binary, folder)
        if code != 1 or lines or text not in errors:
            problems.append(f"nearfar check of a served folder exits {code}: {lines} {errors}")
        return problems
    finally:
        server.stop()


def backup(binary: str, folder: str, copy: str) -> list[str]:
    """Checks that a backup under writes contains the state of a single moment and does not disturb the writers."""
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
