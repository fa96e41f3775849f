#!/usr/bin/env python3
"""Compares the requests per second of a server that logs every request with one that logs none, in one run.

usage: access_log.py [--binary .build/release/nearfar] [--path /livez] [--rounds 7] [--seconds 3] [--connections 64]

Two servers on loopback take turns, so that a change of the machine's pace affects both. The log goes to a pipe that `cat` empties
into /dev/null, as a container's log is read. The processor time of the server for each request is compared as well: it counts the thread
that writes the log, and varies less on a machine that has other work. Exits with 0 when the median ratio of the requests per second is at
least --minimum (0.9).
"""
import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys

from http_server import stop, tool


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=".build/release/nearfar")
    parser.add_argument("--path", default="/livez")
    parser.add_argument("--log", default="all", help="what is compared with off")
    parser.add_argument("--format", default="json")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minimum", type=float, default=0.9)
    return parser.parse_args()


@contextlib.contextmanager
def serving(options, log):
    """A server whose log is read: its process and its port."""
    command = [options.binary, "serve", "--port", "0", "--access-log", log, "--log-format", options.format]
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=reader.stdin, text=True)
    reader.stdin.close()
    try:
        for line in server.stdout:
            if match := re.search(r"ready http://(\S+):(\d+)", line):
                yield server, int(match[2])
                break
        else:
            sys.exit(f"the server ended with {server.wait()} before it was ready")
    finally:
        stop(server)
        stop(reader)


def requests_per_second(wrk, port, options):
    command = [wrk, f"-t{options.threads}", f"-c{options.connections}", f"-d{options.seconds}s",
               f"http://127.0.0.1:{port}{options.path}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit("errors under load:\n" + output)
    return float(re.search(r"Requests/sec:\s*([\d.]+)", output)[1])


def processor_seconds(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(wrk, server, options):
    """Requests per second, and microseconds of the server's processor time for each."""
    process, port = server
    before = processor_seconds(process)
    rate = requests_per_second(wrk, port, options)
    return rate, (processor_seconds(process) - before) * 1e6 / (rate * options.seconds)


def main():
    options = arguments()
    wrk = tool("wrk", "wrk")
    with serving(options, "off") as silent, serving(options, options.log) as logging:
        print(f"GET {options.path}, {options.connections} connections, {options.seconds} s per round", flush=True)
        rates, times = [], []
        for number in range(options.rounds):
            # Whoever comes first may find the machine in another state, so the order alternates.
            if number % 2 == 0:
                off, on = measure(wrk, silent, options), measure(wrk, logging, options)
            else:
                on, off = measure(wrk, logging, options), measure(wrk, silent, options)
            rates.append(on[0] / off[0])
            times.append(on[1] / off[1])
            print(f"round {number + 1}: off {off[0]:7.0f}/s {off[1]:5.2f} us   {options.log} {on[0]:7.0f}/s {on[1]:5.2f} us   "
                  f"ratio {rates[-1]:.3f}, processor time {times[-1]:.3f}", flush=True)
    ratio = statistics.median(rates)
    print(f"median: ratio {ratio:.3f} (at least {options.minimum}), processor time {statistics.median(times):.3f}")
    return 0 if ratio >= options.minimum else 1


if __name__ == "__main__":
    sys.exit(main())
