"""Kills the server with SIGKILL while four writers write to a collection with a graph, and runs `nearfar check` before each restart."""

import random
import time

from content import look
from server import Server, check
from writers import DIM, GRAPH_POINTS, PATH, WRITERS, Writer, run


def filled(binary: str, folder: str, seed: int) -> tuple[list[Writer], int]:
    """Makes a folder with a collection whose graph is saved by a clean stop; returns its writers and its version."""
    writers = [Writer(number, seed, GRAPH_POINTS) for number in range(WRITERS)]
    server = Server(binary, folder)
    client = server.client()
    client.ask("PUT", PATH, {"dim": DIM, "metric": "cosine"})
    for writer in writers:
        writer.preload(client)
    problems, version = look(client, writers, 0, seed)
    client.close()
    assert not problems, problems
    code = server.stop()
    assert code == 0, code
    return writers, version


def write_and_kill(server: Server, writers: list[Writer], seconds: float, idle: float = 0) -> int:
    """Lets the writers run, kills the server, and returns how many writes were answered."""
    threads = run(server, writers)
    time.sleep(seconds)
    if idle > 0:
        for writer in writers:
            writer.stop = True
        for thread in threads:
            thread.join(30)
        for writer in writers:
            writer.stop = False
        time.sleep(idle)
    server.kill()
    for thread in threads:
        thread.join(30)
    return sum(len(writer.log) for writer in writers)


def check_problems(binary: str, folder: str) -> list[str]:
    """Checks that `nearfar check` calls the folder that a kill left behind sound."""
    code, lines, errors = check(binary, folder)
    sound = [line for line in lines if line.startswith("crash: ") and line.endswith(": sound")]
    return [] if code == 0 and sound else [f"nearfar check exits {code}: {lines} {errors[-500:]}"]


def crash_rounds(binary: str, folder: str, rounds: int, seed: int):
    """Yields for each round its name and a list of what is wrong."""
    generator = random.Random(seed)
    writers, version = filled(binary, folder, seed)
    server = Server(binary, folder)
    for number in range(rounds):
        written = write_and_kill(server, writers, generator.uniform(0.02, 0.8))
        problems = check_problems(binary, folder)
        server = Server(binary, folder)
        client = server.client()
        found, version = look(client, writers, version, seed + number)
        client.close()
        yield f"kill -9, round {number + 1}: {written} answered writes, version {version}", problems + found
    code = server.stop()
    problems = check_problems(binary, folder)
    server = Server(binary, folder, low_memory=True)
    found, version = look(server.client(), writers, version, seed)
    yield "a clean stop, and a start with --low-memory", problems + found + ([] if code == 0 else [f"exit {code}"])
    written = write_and_kill(server, writers, 0.8)
    problems = check_problems(binary, folder)
    server = Server(binary, folder, low_memory=True)
    found, version = look(server.client(), writers, version, seed)
    yield f"kill -9 with --low-memory: {written} answered writes, version {version}", problems + found
    server.stop()
