#!/usr/bin/env python3
"""Compares InfoNCE with Nearfar and with PyTorch on the CPU in one run: time, share of the speed limit, peak memory.

    Benchmarks/loss.py [--loss-bench .build/release/loss-bench] [--binary .build/release/nearfar] [--quick]

PyTorch runs in this process: normalize, then cross_entropy(q @ k.T / τ), forward under no_grad, and forward with the
gradients of queries and keys. Nearfar runs as `loss-bench`, which calls the library in its own process, and as `nearfar
serve`, which is sent safetensors over one keep-alive connection. They take turns (A B A B …) so that a change of the
machine's pace affects all. The limit is the time of the N×N×D product alone, by oneDNN in f32; with gradients, three times
that. Memory is the peak beyond inputs and outputs of one call in a fresh process. Exits with 1 when a threshold is missed.
"""

import argparse
import dataclasses
import http.client
import json
import math
import os
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

import own_venv
from tensor_file import pack

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TEMPERATURE = 0.07
LEAST_SECONDS = 0.1
SIZES = [(256, 384), (1024, 384), (4096, 384), (8192, 768), (16384, 384)]
QUICK_SIZES = [(256, 384), (1024, 384)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    release = ROOT / ".build" / "release"
    parser.add_argument("--loss-bench", type=Path, default=release / "loss-bench")
    parser.add_argument("--binary", type=Path, default=release / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--threads", type=int, default=2, help="compute threads of each side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small batches only, without the thresholds of large ones")
    parser.add_argument("--sizes", nargs="+", metavar="NxD", help="measure these batches only, without the doubling of N")
    parser.add_argument("--no-http", action="store_true", help="without nearfar serve")
    parser.add_argument("--torch-memory", nargs=3, metavar=("N", "D", "MODE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def timed(work) -> float:
    """The seconds that one call takes; short calls are repeated and averaged."""
    count, start = 0, time.perf_counter()
    while True:
        work()
        count += 1
        passed = time.perf_counter() - start
        if passed >= LEAST_SECONDS:
            return passed / count


class TorchSide:
    def __init__(self, rows: int, dimension: int, threads: int) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        self.queries = torch.rand(rows, dimension) * 2 - 1
        self.keys = torch.rand(rows, dimension) * 2 - 1 + 0.3 * self.queries
        self.target = torch.arange(rows)

    def loss(self):
        functional = self.torch.nn.functional
        q, k = functional.normalize(self.queries), functional.normalize(self.keys)
        return functional.cross_entropy(q @ k.T / TEMPERATURE, self.target)

    def run(self, mode: str) -> float:
        if mode == "forward":
            with self.torch.no_grad():
                return self.loss().item()
        self.queries.requires_grad_()
        self.keys.requires_grad_()
        loss = self.loss()
        loss.backward()
        self.queries.grad = self.keys.grad = None
        self.queries.requires_grad_(False)
        self.keys.requires_grad_(False)
        return loss.item()


def resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {field}")


def torch_memory(rows: int, dimension: int, mode: str, threads: int) -> None:
    """Prints the peak memory, beyond inputs and outputs, of one call in this fresh process."""
    side = TorchSide(rows, dimension, threads)
    # The library's initialisation is not part of the call.
    TorchSide(64, 8, threads).run(mode)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS:")
    side.run(mode)
    outputs = 0 if mode == "forward" else 2 * rows * dimension * 4
    print(max(0, resident("VmHWM:") - before - outputs))


class BenchSide:
    """A loss-bench process that does one round for each line it is sent."""

    def __init__(self, binary: Path, rows: int, dimension: int, mode: str, threads: int) -> None:
        command = [str(binary), str(rows), str(dimension), mode, str(threads), "0"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.extra_bytes = self.read()["extra_bytes"]

    def read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("loss-bench ended early")
        return json.loads(line)

    def round(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()["seconds"]

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def tensor(body: bytes, name: str):
    """One f32 tensor of a safetensors file as a numpy array."""
    import numpy

    (length,) = struct.unpack_from("<Q", body)
    entry = json.loads(body[8 : 8 + length])[name]
    start, end = entry["data_offsets"]
    return numpy.frombuffer(body[8 + length + start : 8 + length + end], dtype="<f4").reshape(entry["shape"])


class ServerSide:
    """A running `nearfar serve`, whose losses are requested as safetensors."""

    def __init__(self, options: argparse.Namespace) -> None:
        from http_side import HttpSide

        command = [str(options.binary), "serve", "--port", "0", "--data", ":memory:", "--threads", str(options.threads)]
        self.server = HttpSide([*command, "--model", str(options.model)], 1)
        self.connection = self.server.connections[0]
        self.bodies: dict[str, bytes] = {}

    def prepare(self, side: TorchSide) -> None:
        tensors = {"queries": side.queries.numpy(), "keys": side.keys.numpy()}
        for mode, wanted in [("forward", ["loss"]), ("gradients", ["loss", "gradients"])]:
            metadata = {"temperature": str(TEMPERATURE), "return": json.dumps(wanted)}
            self.bodies[mode] = pack(metadata, tensors)

    def run(self, mode: str) -> bytes:
        kind = "application/x-safetensors"
        self.connection.request("POST", "/loss", self.bodies[mode], {"Content-Type": kind, "Accept": kind})
        response: http.client.HTTPResponse = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"POST /loss: {response.status} {body[:300]!r}")
        return body

    def loss(self, mode: str) -> float:
        return float(tensor(self.run(mode), "loss").reshape(-1)[0])


@dataclasses.dataclass
class Figures:
    """The median seconds, and the memory, of one batch size."""

    peer: dict[str, float]
    ours: dict[str, float]
    http: dict[str, float]
    product: float
    extra: dict[str, int]
    peer_extra: dict[str, int]


def measure(rows: int, dimension: int, options: argparse.Namespace, server: ServerSide | None) -> Figures:
    modes = ["forward", "gradients"]
    benches: dict[str, BenchSide] = {}
    torch_side = TorchSide(rows, dimension, options.threads)
    times: dict[tuple[str, str], list[float]] = {}
    try:
        for mode in [*modes, "diagnostics", "product"]:
            benches[mode] = BenchSide(options.loss_bench, rows, dimension, mode, options.threads)
        if server is not None:
            server.prepare(torch_side)
            for mode in modes:
                peer, ours = torch_side.run(mode), server.loss(mode)
                if not math.isclose(peer, ours, rel_tol=1e-4):
                    raise SystemExit(f"{rows}×{dimension}: PyTorch's loss is {peer}, nearfar's {ours}")
        for turn in range(options.rounds + 1):
            found = {}
            for mode in modes:
                found["peer", mode] = timed(lambda mode=mode: torch_side.run(mode))
                found["ours", mode] = benches[mode].round()
                if server is not None:
                    found["http", mode] = timed(lambda mode=mode: server.run(mode))
            found["ours", "diagnostics"] = benches["diagnostics"].round()
            found["ours", "product"] = benches["product"].round()
            if turn:
                for key, seconds in found.items():
                    times.setdefault(key, []).append(seconds)
    finally:
        for bench in benches.values():
            bench.stop()
    medians = {key: statistics.median(values) for key, values in times.items()}

    def of(side: str) -> dict[str, float]:
        return {mode: seconds for (who, mode), seconds in medians.items() if who == side}

    peer_extra = {}
    for mode in modes:
        command = [sys.executable, __file__, "--threads", str(options.threads)]
        memory = subprocess.run(
            [*command, "--torch-memory", str(rows), str(dimension), mode], check=True, capture_output=True, text=True
        )
        peer_extra[mode] = int(memory.stdout)
    extra = {mode: benches[mode].extra_bytes for mode in [*modes, "diagnostics"]}
    return Figures(of("peer"), of("ours"), of("http"), medians["ours", "product"], extra, peer_extra)


def show(rows: int, dimension: int, figures: Figures) -> None:
    for mode, products in [("forward", 1), ("gradients", 3)]:
        peer, ours, http_time = figures.peer[mode], figures.ours[mode], figures.http.get(mode)
        served = f"{http_time * 1e3:9.1f} {peer / http_time:6.2f}" if http_time else f"{'-':>9} {'-':>6}"
        print(
            f"{rows:6} {dimension:4} {mode:9} {peer * 1e3:10.1f} {ours * 1e3:10.1f} {peer / ours:6.2f} {served} "
            f"{products * figures.product / ours:6.0%} "
            f"{figures.peer_extra[mode] / 2**20:9.1f} {figures.extra[mode] / 2**20:8.1f}",
            flush=True,
        )


def doublings(options: argparse.Namespace) -> dict[tuple[int, str], float]:
    """Nearfar's median seconds at N = 4,096 … 32,768 and D = 384; the sizes take turns."""
    sizes, modes = [4096, 8192, 16384, 32768], ["forward", "gradients"]
    benches, times = {}, {}
    try:
        for rows in sizes:
            for mode in modes:
                benches[rows, mode] = BenchSide(options.loss_bench, rows, 384, mode, options.threads)
        for _ in range(3):
            for key, bench in benches.items():
                times.setdefault(key, []).append(bench.round())
    finally:
        for bench in benches.values():
            bench.stop()
    return {key: statistics.median(values) for key, values in times.items()}


class Thresholds:
    def __init__(self) -> None:
        self.missed = 0

    def at_least(self, what: str, value: float, least: float) -> None:
        self.say(what, value, f"at least {least}", value >= least)

    def at_most(self, what: str, value: float, most: float) -> None:
        self.say(what, value, f"at most {most}", value <= most)

    def say(self, what: str, value: float, limit: str, is_met: bool) -> None:
        self.missed += 0 if is_met else 1
        print(f"{'met   ' if is_met else 'MISSED'} {what}: {value:.2f} ({limit})")


class OtherWork:
    """The CPU time that other processes took meanwhile.

    Both sides wait for their slowest thread, and PyTorch suffers far more from that: with other work on the cores its times
    mean nothing, and every ratio is too favourable to Nearfar.
    """

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.before = self.seconds()

    @staticmethod
    def seconds() -> float:
        """The machine's CPU time, without that of this process and of its children that have ended."""
        user, nice, system = map(int, Path("/proc/stat").read_text().split(maxsplit=4)[1:4])
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        return (user + nice + system) / os.sysconf("SC_CLK_TCK") - own

    def share(self) -> float:
        """The share of all cores' time since the start. To be called after all children have ended, since only those count."""
        passed = (time.perf_counter() - self.start) * os.cpu_count()
        return max(0.0, (self.seconds() - self.before) / passed)


def judge(table: dict[tuple[int, int], Figures], options: argparse.Namespace) -> Thresholds:
    thresholds = Thresholds()
    for (rows, dimension), figures in table.items():
        name = f"N = {rows}, d = {dimension}"
        for mode, large in [("forward", 3.5), ("gradients", 2.5)]:
            ratio = figures.peer[mode] / figures.ours[mode]
            if rows >= 4096:
                thresholds.at_least(f"{name}, {mode}, in process, times as fast as PyTorch", ratio, large)
            elif rows == 256:
                thresholds.at_least(f"{name}, {mode}, in process, times as fast as PyTorch", ratio, 1.0)
        if rows == 4096:
            if "forward" in figures.http:
                ratio = figures.peer["forward"] / figures.http["forward"]
                thresholds.at_least(f"{name}, forward, HTTP, times as fast as PyTorch in process", ratio, 2.0)
            cost = figures.ours["diagnostics"] / figures.ours["gradients"]
            thresholds.at_most(f"{name}, gradients, diagnostics take it times as long", cost, 1.3)
        if rows == 16384:
            for mode in ["forward", "gradients"]:
                thresholds.at_most(f"{name}, {mode}, peak MiB above inputs and outputs", figures.extra[mode] / 2**20, 64)
    if not options.quick and not options.sizes:
        times = doublings(options)
        for mode in ["forward", "gradients"]:
            for rows in [4096, 8192, 16384]:
                growth = times[2 * rows, mode] / times[rows, mode]
                thresholds.at_most(f"N = {rows} to {2 * rows}, {mode}, times as long", growth, 4.4)
    return thresholds


def main() -> int:
    options = arguments()
    own_venv.enter("loss-venv", "loss-requirements.txt")
    if options.torch_memory:
        rows, dimension, mode = options.torch_memory
        torch_memory(int(rows), int(dimension), mode, options.threads)
        return 0
    import torch

    print(f"PyTorch {torch.__version__}, {options.threads} threads each, load {os.getloadavg()[0]:.2f} before")
    sizes = QUICK_SIZES if options.quick else SIZES
    if options.sizes:
        sizes = [tuple(map(int, size.split("x"))) for size in options.sizes]
    other = OtherWork()
    server = None if options.no_http else ServerSide(options)
    table = {}
    print("     N    D                PyTorch     nearfar          HTTP          share   PyTorch  nearfar")
    print("                                ms          ms  ratio     ms  ratio of limit      MiB      MiB")
    try:
        for rows, dimension in sizes:
            table[rows, dimension] = measure(rows, dimension, options, server)
            show(rows, dimension, table[rows, dimension])
    finally:
        if server is not None:
            server.server.stop()
    thresholds = judge(table, options)
    thresholds.at_most("share of the cores that other work took (more makes the ratios void)", other.share(), 0.1)
    print(f"load {os.getloadavg()[0]:.2f} after; {thresholds.missed} thresholds missed")
    return 1 if thresholds.missed else 0


if __name__ == "__main__":
    sys.exit(main())
