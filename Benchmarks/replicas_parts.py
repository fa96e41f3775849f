"""What replicas.py measures with: a database, services on it, clients, vectors, and load."""

import http.client
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from server_process import ServerProcess
from tensor_file import pack

ROOT = Path(__file__).resolve().parent.parent
DIM = 384
SAFETENSORS = "application/x-safetensors"


class Database:
    def __init__(self) -> None:
        # Short, because it holds a socket.
        self.folder = tempfile.mkdtemp(prefix="nfpg")
        with tempfile.TemporaryFile("w+") as told:
            subprocess.run([ROOT / "scripts" / "test-database.sh", "start", self.folder], check=True, stdout=told)
            told.seek(0)
            self.url = told.read().split()[-1]

    def seconds(self) -> float:
        """The processor's time that the server's processes have taken, those that have ended included."""
        leader = int(Path(self.folder, "data", "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        return processor(leader, ended=True) + sum(processor(int(each)) for each in children)

    def stop(self) -> None:
        subprocess.run([ROOT / "scripts" / "test-database.sh", "stop", self.folder], check=False, stdout=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", self.folder], check=True)


def processor(process: int, ended: bool = False) -> float:
    """Seconds of the processor that a process has taken; also those of its children that have ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(each) for each in fields[11 : 15 if ended else 13]) / os.sysconf("SC_CLK_TCK")


class Service:
    def __init__(self, options, *flags: str, threads: int = 2, seconds: float = 3600) -> None:
        command = [str(options.binary), "serve", "--port", "0", "--model", str(options.model), "--threads", str(threads), *flags]
        began = time.perf_counter()
        self.process = ServerProcess(command, seconds)
        self.started = time.perf_counter() - began
        self.port = self.process.port

    def client(self) -> "Client":
        return Client(self.port)

    def processor(self) -> float:
        return processor(self.process.process.pid)

    def stop(self) -> None:
        self.process.stop()


class Client:
    """A client with one connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def ask(self, method: str, path: str, body=None, kind: str = "application/json", **fields: str):
        """(parsed body, header fields) of an answer that has to be a success."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        self.connection.request(method, path, data, {"Content-Type": kind, **names})
        response = self.connection.getresponse()
        content = response.read()
        if response.status not in (200, 201):
            raise SystemExit(f"{method} {path}: {response.status} {content[:300]!r}")
        return json.loads(content), response.headers


class Judge:
    missed = 0

    def holds(self, what: str, is_met: bool) -> None:
        self.missed += not is_met
        print(f"{'met   ' if is_met else 'MISSED'} {what}", flush=True)


def quantiles(values: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    ordered = sorted(values)
    return statistics.median(ordered) * 1e3, ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))] * 1e3


def vectors(count: int, seed: int = 1):
    """Vectors in clusters, as of embedded texts."""
    import numpy

    generator = numpy.random.default_rng(seed)
    centres = generator.standard_normal((max(1, count // 100), DIM), dtype="f4")
    return centres[generator.integers(len(centres), size=count)] + 0.5 * generator.standard_normal((count, DIM), dtype="f4")


def batch(ids: range, rows) -> bytes:
    return pack({"ids": json.dumps([f"p{n}" for n in ids])}, {"vectors": rows})


def make(client: Client, name: str) -> None:
    client.ask("PUT", f"/collections/{name}", {"dim": DIM, "metric": "cosine"})


def fill(client: Client, name: str, rows) -> None:
    for start in range(0, len(rows), 1000):
        part = rows[start : start + 1000]
        client.ask("PUT", f"/collections/{name}/points", batch(range(start, start + len(part)), part), SAFETENSORS)


def wait_for(service: Service, name: str) -> None:
    """Waits until a replica has a collection."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    for _ in range(600):
        connection.request("GET", f"/collections/{name}")
        response = connection.getresponse()
        response.read()
        if response.status == 200:
            return
        time.sleep(0.1)
    raise SystemExit(f"a replica has no collection {name} after a minute")


SCRIPT = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local turn = %d
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  turn = turn %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[turn])
end
"""


def searches(folder: str, ports: list[int], seconds: float) -> float:
    """Answers per second of three wrk, one for each port."""
    running = []
    for number, port in enumerate(ports):
        script = Path(folder, f"{number}.lua")
        script.write_text(SCRIPT % (Path(folder, "bodies"), number * 30))
        running.append(subprocess.Popen(["wrk", "-t1", "-c4", f"-d{seconds:.0f}s", "-s", script, f"http://127.0.0.1:{port}/neighbors"], stdout=subprocess.PIPE, text=True))
    total = 0.0
    for each in running:
        text = each.communicate()[0]
        if "Non-2xx" in text or "Requests/sec" not in text:
            raise SystemExit(f"wrk: {text}")
        total += float(text.split("Requests/sec:")[1].split()[0])
    return total
