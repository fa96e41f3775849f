#!/usr/bin/env python3
"""Compares the requests per second of a server's cheapest route with nginx, on this machine, in one run.

usage: livez.py [--server COMMAND] [--path /livez] [--rounds 3] [--seconds 5] [--connections 64] [--threads 2]

Both answer the same status, type and body on loopback; nginx has one worker and `return 200`. The rounds alternate, so that
a change of the machine's pace affects both. Exits with 0 when the ratio of the medians is at least --minimum (0.8).
"""
import argparse
import os
import re
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", default=".build/release/nearfar serve --port 0",
                        help="command that prints `... ready http://HOST:PORT` once it listens")
    parser.add_argument("--path", default="/livez")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minimum", type=float, default=0.8)
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


def start_server(command):
    process = subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        match = re.search(r"ready http://(\S+):(\d+)", line)
        if match:
            return process, int(match[2])
    process.wait()
    sys.exit(f"the server ended with {process.returncode} before it was ready: {command}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def nginx_config(folder, port, path, content_type, body):
    quoted = body.replace("\\", "\\\\").replace('"', '\\"').replace("$", "x")
    temporary = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
{temporary}  server {{
    listen 127.0.0.1:{port};
    location = {path} {{ default_type "{content_type}"; return 200 "{quoted}"; }}
  }}
}}
"""


def start_nginx(binary, folder, path, content_type, body):
    port = free_port()
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(nginx_config(folder, port, path, content_type, body))
    process = subprocess.Popen([binary, "-e", os.path.join(folder, "error.log"), "-p", folder, "-c", config])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process, port
        except OSError:
            time.sleep(0.05)
    stop(process)
    sys.exit("nginx did not start")


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.status, answer.headers.get("Content-Type", "text/plain"), answer.read().decode("utf-8")


def requests_per_second(wrk, port, options):
    command = [wrk, f"-t{options.threads}", f"-c{options.connections}", f"-d{options.seconds}s",
               f"http://127.0.0.1:{port}{options.path}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit("errors under load:\n" + output)
    return float(re.search(r"Requests/sec:\s*([\d.]+)", output)[1])


def main():
    options = arguments()
    wrk, nginx = tool("wrk", "wrk"), tool("nginx", "nginx-light")
    children = []
    with tempfile.TemporaryDirectory(prefix="livez-") as folder:
        try:
            server, port = start_server(options.server)
            children.append(server)
            status, content_type, body = get(port, options.path)
            peer, peer_port = start_nginx(nginx, folder, options.path, content_type, body)
            children.append(peer)
            peer_status, _, peer_body = get(peer_port, options.path)
            if (status, len(body)) != (peer_status, len(peer_body)):
                sys.exit("the two answers differ in status or size")
            print(f"GET {options.path}: {len(body)} bytes of {content_type}; {options.connections} connections, "
                  f"{options.threads} wrk threads, {options.seconds} s per round", flush=True)
            ours, theirs = [], []
            for number in range(options.rounds):
                ours.append(requests_per_second(wrk, port, options))
                theirs.append(requests_per_second(wrk, peer_port, options))
                print(f"round {number + 1}: server {ours[-1]:9.0f}/s   nginx {theirs[-1]:9.0f}/s", flush=True)
        finally:
            for child in children:
                stop(child)
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"median:  server {statistics.median(ours):9.0f}/s   nginx {statistics.median(theirs):9.0f}/s   "
          f"ratio {ratio:.2f} (at least {options.minimum})")
    return 0 if ratio >= options.minimum else 1


if __name__ == "__main__":
    sys.exit(main())
