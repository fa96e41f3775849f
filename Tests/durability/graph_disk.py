"""When a graph cannot be saved, the service continues, the log says so, the old file is unchanged, and the next start works."""

import os
import resource
from pathlib import Path

from content import look
from crash import filled
from server import Server
from writers import Writer

GRAPH = "graph-2.safetensors"
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def limit(server: Server, size: int) -> None:
    """Limits the size of files from now on, as if the disk had room for a small write but not for a graph."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def written(server: Server, writers: list[Writer], batches: int) -> list[str]:
    """Checks that writes still succeed."""
    client = server.client()
    every = [writer for writer in writers for _ in range(batches)]
    problems = [f"a write fails: {writer.problems}" for writer in every if not writer.write(client)]
    client.close()
    return problems


def said(server: Server, folder: str, seconds: float = 10) -> list[str]:
    """Checks that the server's log names the file, after waiting until all of the log is read."""
    server.reader.join(seconds if server.process.poll() is not None else 0)
    text = "".join(server.lines)
    return [] if f"{folder}/{GRAPH} cannot be written" in text else [f"the log does not name the graph: {text[-500:]}"]


def restarted(binary: str, folder: str, writers: list[Writer], version: int, line: str) -> tuple[list[str], int]:
    """Checks that the next start has all points, and that its log says how it got its graph (`line`)."""
    server = Server(binary, folder)
    problems, version = look(server.client(), writers, version, version)
    if not any(line in text for text in server.lines):
        problems.append(f"the next start does not say '{line}': {server.lines}")
    left = sorted(path.name for path in Path(folder).glob("*.partial"))
    if left:
        problems.append(f"{left} were left")
    code = server.stop()
    return problems + ([] if code == 0 else [f"exit {code}"]), version


def graph_on_a_full_disk(binary: str, folder: str) -> list[str]:
    writers, version = filled(binary, folder, 5)
    graph = Path(folder) / GRAPH
    size = graph.stat().st_size
    # The graph cannot be saved at the start, where there is no earlier one.
    graph.unlink()
    server = Server(binary, folder, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, NO_LIMIT[1])))
    problems = said(server, folder) + written(server, writers, 3)
    if graph.exists():
        problems.append("there is a graph on a full disk")
    server.kill()
    found, version = restarted(binary, folder, writers, version, "building the graph of")
    problems += found
    # The graph cannot be saved at the end, where there is an older one.
    whole = graph.read_bytes()
    server = Server(binary, folder)
    problems += written(server, writers, 20)
    limit(server, size // 2)
    server.stop()
    problems += said(server, folder)
    if graph.read_bytes() != whole:
        problems.append("a graph that could not be saved is not the older one")
    found, version = restarted(binary, folder, writers, version, "read the graph of")
    problems += found
    if graph.read_bytes() == whole:
        problems.append("with room again the graph was not saved")
    return problems


def graph_in_a_read_only_folder(binary: str, folder: str) -> list[str]:
    """As root could write the folder, root runs the server as another user."""
    writers, version = filled(binary, folder, 6)
    graph = Path(folder) / GRAPH
    whole = graph.read_bytes()
    user = 65534 if os.getuid() == 0 else None
    if user is not None:
        for path in [Path(folder), *Path(folder).iterdir()]:
            os.chown(path, user, -1)
    server = Server(binary, folder, user=user)
    problems = written(server, writers, 1)
    os.chmod(folder, 0o555)
    problems += written(server, writers, 20)
    server.stop()
    problems += said(server, folder)
    os.chmod(folder, 0o755)
    if graph.read_bytes() != whole:
        problems.append("a graph that could not be saved is not the older one")
    found, version = restarted(binary, folder, writers, version, "read the graph of")
    return problems + found
