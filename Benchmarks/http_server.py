#!/usr/bin/env python3
"""Compares the rate of a server's cheapest route with nginx, on this machine, in one run.

usage: http_server.py [--server "nearfar serve"] [--path /livez] [--only plain,two,tls,close] [--connections 1,64,256,1000]
                      [--rounds 3] [--seconds 5] [--threads 2]

Four comparisons over loopback, each with 1, 64, 256 and 1,000 connections of wrk:

  plain   one event loop, one worker of nginx                                    ratio >= 1.0
  two     two event loops (--loops 2), two workers                               ratio >= 0.9
  tls     one loop, one worker, TLS 1.3 with the same certificate and suite      ratio >= 0.9
  close   one loop, one worker, a connection for each request                    ratio >= 0.9

Both sides answer the same status, type, body and number of bytes; nginx does it by `return 200`, without a log. The two take
turns in each round, and the one that begins changes from round to round. Ratios are those of the medians. Beside them is
the time within which 99 of 100 requests are answered, in milliseconds. Exits with 1 when a ratio is missed.
"""
import argparse
import os
import re
import resource
import shlex
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

HOST = "127.0.0.1"
# Name, flags of the server, workers of nginx, whether over TLS, whether each request has its connection, least ratio.
COMPARISONS = [
    ("plain", [], 1, False, False, 1.0),
    ("two", ["--loops", "2"], 2, False, False, 0.9),
    ("tls", ["tls"], 1, True, False, 0.9),
    ("close", [], 1, False, True, 0.9),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", default=".build/release/nearfar serve",
                        help="a command that takes --port, --loops, --max-connections and --tls-cert, and prints `... ready URL`")
    parser.add_argument("--path", default="/livez")
    parser.add_argument("--only", default=",".join(name for name, *_ in COMPARISONS))
    parser.add_argument("--connections", default="1,64,256,1000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of wrk")
    return parser.parse_args()


def tool(name, package):
    for folder in os.environ.get("PATH", "").split(os.pathsep) + ["/usr/sbin", "/usr/local/sbin"]:
        path = shutil.which(name, path=folder)
        if path:
            return path
    sys.exit(f"{name} is not installed; on Debian: apt-get install --no-install-recommends {package}")


def stop(process):
    """Stops a child process: SIGTERM, then SIGKILL when that is not enough."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Server:
    """The server that is measured."""

    def __init__(self, command, flags):
        words = [*shlex.split(command), "--port", "0", "--max-connections", "2000", *flags]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            match = re.search(r"ready https?://(\S+):(\d+)", line)
            if match:
                self.port = int(match[2])
                return
        sys.exit(f"the server ended with {self.process.wait()} before it was ready: {shlex.join(words)}")


class Nginx:
    """The peer: `workers` processes that answer the path with the given fields and body, over HTTP and over HTTPS."""

    def __init__(self, binary, folder, workers, certificate, path, answer):
        os.mkdir(folder)
        self.port, self.tls_port = free_ports(2)
        with open(os.path.join(folder, "nginx.conf"), "w", encoding="utf-8") as file:
            file.write(self.config(folder, workers, certificate, path, answer))
        command = [binary, "-e", os.path.join(folder, "error.log"), "-p", folder, "-c", os.path.join(folder, "nginx.conf")]
        self.process = subprocess.Popen(command)
        for _ in range(100):
            try:
                socket.create_connection((HOST, self.tls_port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        stop(self.process)
        sys.exit("nginx did not start")

    def config(self, folder, workers, certificate, path, answer):
        temporary = "".join(
            f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        fields = "".join(f'add_header {name} "{quoted(value)}"; ' for name, value in answer.extra)
        return f"""
daemon off;
{"master_process off;" if workers == 1 else ""}
worker_processes {workers};
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_requests 1000000000;
{temporary}  server {{
    listen {HOST}:{self.port} backlog=1024;
    listen {HOST}:{self.tls_port} ssl backlog=1024;
    ssl_certificate {certificate[0]};
    ssl_certificate_key {certificate[1]};
    ssl_protocols TLSv1.3;
    location = {path} {{ default_type "{answer.type}"; {fields}return 200 "{quoted(answer.body)}"; }}
  }}
}}
"""


def quoted(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "x")


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind((HOST, 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Answer:
    """What a server answers, byte by byte, and the fields that the peer has to add so that its answer is as long."""

    def __init__(self, raw):
        self.count = len(raw)
        head, _, body = raw.decode("utf-8").partition("\r\n\r\n")
        self.status = head.split(" ")[1]
        self.body = body
        self.fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        self.type = self.fields.get("Content-Type", "text/plain")
        self.extra = []

    def pad(self, other):
        """Lets the peer's answer, which was `other` without additions, be as long as this one."""
        room = self.count - other.count
        own = [name for name in self.fields if name not in other.fields]
        # The fields that only this server has, and the rest as the value of the last: what nginx says instead counts, too.
        for name in own:
            length = min(len(self.fields[name]), room - len(name) - 4)
            if length > 0:
                self.extra.append((name, "0" * length))
                room -= length + len(name) + 4
        if self.extra and room > 0:
            name, value = self.extra[-1]
            self.extra[-1] = (name, value + "0" * room)


def get(port, path, context=None):
    """The bytes of an answer on a connection that would be kept."""
    with socket.create_connection((HOST, port), timeout=10) as plain:
        connection = context.wrap_socket(plain, server_hostname=HOST) if context else plain
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        raw = b""
        while True:
            raw += connection.recv(65536)
            head, end, body = raw.partition(b"\r\n\r\n")
            if end and len(body) >= int(re.search(rb"(?i)content-length: *(\d+)", head)[1]):
                return raw, (connection.version(), connection.cipher()[0]) if context else None


def certificate(folder):
    files = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    subprocess.run(
        [tool("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
         "2", "-subj", f"/CN={HOST}", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


def seconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[unit]


def load(wrk, port, connections, is_tls, closes, options):
    """Requests per second, and the 99th percentile of the latency in milliseconds."""
    command = [wrk, "--latency", f"-t{min(options.threads, connections)}", f"-c{connections}", f"-d{options.seconds}s"]
    if closes:
        command += ["-H", "Connection: close"]
    command.append(f"{'https' if is_tls else 'http'}://{HOST}:{port}{options.path}")
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit("errors under load:\n" + shlex.join(command) + "\n" + output)
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", output)[1])
    return rate, 1000 * seconds(re.search(r"^\s*99%\s+(\S+)", output, re.MULTILINE)[1])


def compare(wrk, ours, theirs, connections, is_tls, closes, options):
    """The medians of rates and percentiles of the two sides."""
    results = ([], [])
    for number in range(options.rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            results[side].append(load(wrk, (ours, theirs)[side], connections, is_tls, closes, options))
    return [[statistics.median(values) for values in zip(*side)] for side in results]


def main():
    options = arguments()
    wrk, nginx = tool("wrk", "wrk"), tool("nginx", "nginx-light")
    only = options.only.split(",")
    if unknown := set(only) - {name for name, *_ in COMPARISONS}:
        sys.exit(f"--only does not know {', '.join(unknown)}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    misses = []
    with tempfile.TemporaryDirectory(prefix="http-server-") as folder:
        # The workers of nginx run as another user, and read their configuration and certificate before that.
        files = certificate(folder)
        for name, flags, workers, is_tls, closes, least in COMPARISONS:
            if name not in only:
                continue
            children = []
            try:
                if flags == ["tls"]:
                    flags = ["--tls-cert", files[0], "--tls-key", files[1]]
                server = Server(options.server, flags)
                children.append(server.process)
                context = trusting if is_tls else None
                raw, suite = get(server.port, options.path, context)
                answer = Answer(raw)
                bare = Nginx(nginx, os.path.join(folder, f"{name}-bare"), 1, files, options.path, answer)
                children.append(bare.process)
                answer.pad(Answer(get(bare.port, options.path)[0]))
                stop(bare.process)
                peer = Nginx(nginx, os.path.join(folder, name), workers, files, options.path, answer)
                children.append(peer.process)
                port = peer.tls_port if is_tls else peer.port
                raw, peer_suite = get(port, options.path, context)
                theirs = Answer(raw)
                if (answer.status, answer.count, answer.body, suite) != (theirs.status, theirs.count, theirs.body, peer_suite):
                    sys.exit(f"the answers differ: {answer.count} and {theirs.count} bytes, {suite} and {peer_suite}")
                print(f"{name}: GET {options.path}, {answer.count} bytes{', ' + ' '.join(suite) if suite else ''}; "
                      f"{options.rounds} rounds of {options.seconds} s", flush=True)
                print(f"{'connections':>12} {'server/s':>10} {'nginx/s':>10} {'ratio':>7} {'p99 ms':>9} {'nginx p99':>10}")
                for connections in map(int, options.connections.split(",")):
                    mine, other = compare(wrk, server.port, port, connections, is_tls, closes, options)
                    ratio = mine[0] / other[0]
                    missed = ratio < least
                    if missed:
                        misses.append(f"{name} with {connections} connections: {ratio:.2f} (at least {least})")
                    print(f"{connections:12d} {mine[0]:10.0f} {other[0]:10.0f} {ratio:7.2f} {mine[1]:9.2f} {other[1]:10.2f}"
                          f"{'   missed' if missed else ''}", flush=True)
            finally:
                for child in children:
                    stop(child)
    for miss in misses:
        print(f"missed: {miss}")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
