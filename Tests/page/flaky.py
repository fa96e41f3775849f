"""A proxy that loses connections, as a browser experiences it when a service restarts or a load balancer drops it."""

import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

PASSED_ON = ("Content-Type", "Content-Security-Policy", "Cache-Control", "X-Content-Type-Options", "Retry-After")


class FlakyWay:
    """Passes requests on to the server, but resets the connection on the first `times` requests for each of `paths`.

    When `status` is given, these requests are answered with it instead.
    """

    def __init__(self, server, paths: set[str], times: int = 1, status: int | None = None) -> None:
        seen = Counter()
        lock = threading.Lock()
        self.seen = seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    seen[self.path] += 1
                    is_lost = self.path in paths and seen[self.path] <= times
                if is_lost and status is None:
                    # Closing a socket with a linger time of 0 resets the connection.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.rfile.close()
                    self.wfile.close()
                    self.connection.close()
                    return
                if is_lost:
                    return self.give(status, {"Content-Type": "application/problem+json"}, b'{"detail": "busy"}')
                fields = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
                answer = requests.request(self.command, server.url + self.path, data=body, headers=fields, timeout=60)
                self.give(answer.status_code, {n: answer.headers[n] for n in PASSED_ON if n in answer.headers}, answer.content)

            do_GET = do_POST = do_PUT = pass_on

            def give(self, status: int, fields: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> "FlakyWay":
        return self

    def __exit__(self, *_) -> None:
        self._http.shutdown()
        self._http.server_close()
