"""The load part of embed.py: how long a request of one gloss takes when such requests come in at a given pace."""

import random
from itertools import cycle, islice

import glosses
import nearfar_side
import numpy as np
from kept_connection import drive
from nearfar_side import NearfarSide
from text_table import print_table

SHARES = (0.3, 0.6, 0.9)
CONNECTIONS = 32
# More than come in while a batch is made, so that no batch has the same text twice.
TEXTS = 20_000


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """The moments of requests that come independently of each other, as from many clients (a Poisson process)."""
    chooser = random.Random(seed)
    moments = [chooser.expovariate(rate)]
    while moments[-1] < seconds:
        moments.append(moments[-1] + chooser.expovariate(rate))
    return moments


def highest_rate(server: NearfarSide, requests: list[bytes], seconds: float) -> float:
    """Requests a second when each connection sends its next one as soon as it has an answer."""
    connections = server.connections(CONNECTIONS)
    supply = cycle(requests)
    done, took = 0, 0.0
    count = 4 * CONNECTIONS
    drive(connections, list(islice(supply, count)))
    while took < seconds:
        # All requests of a part are due at its start, so the longest time is that of the part.
        took += max(drive(connections, list(islice(supply, count)))[1])
        done += count
        # A part takes about a second, so that its end, where connections have nothing left to do, hardly counts.
        count = max(count, round(done / took))
    return done / took


def measure(servers: list[NearfarSide], seconds: float) -> None:
    if not servers:
        return
    print(f"==> requests of one gloss each, over {CONNECTIONS} connections", flush=True)
    requests = [nearfar_side.request([text]) for text in glosses.sample(TEXTS, seed=20)]
    rows = []
    for server in servers:
        highest = highest_rate(server, requests, seconds / 2)
        rows.append([f"Nearfar {server.precision}, at once", f"{highest:,.0f}", "-", "-", "-"])
        for number, share in enumerate(SHARES):
            due = arrivals(share * highest, seconds, seed=number)
            _, times = drive(server.connections(CONNECTIONS), list(islice(cycle(requests), len(due))), due)
            p50, p99 = np.quantile(times, [0.5, 0.99])
            row = [f"Nearfar {server.precision}, {share:.0%} of that", f"{len(due) / due[-1]:,.0f}"]
            rows.append([*row, f"{len(due):,}", f"{p50 * 1e3:.2f}", f"{p99 * 1e3:.2f}"])
    print_table(["requests of one gloss", "requests/s", "requests", "p50, ms", "p99, ms"], rows)
