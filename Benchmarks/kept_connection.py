"""A kept connection to a server on this machine, and a loop that drives many of them.

Client and server share the cores, so that what the client does for a request counts as if the server had done it. This
client sends requests that were put together before any clock ran, and reads no more of an answer's head than the length;
`http.client` takes several times as long.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Sequence


class KeptConnection:
    def __init__(self, port: int, seconds: float = 120) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        # Where the answer's body begins and ends, once its head is there.
        self._body = (0, 0)

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, request: bytes) -> None:
        self.socket.sendall(request)

    def exchange(self, request: bytes) -> bytes:
        self.send(request)
        return self.receive()

    def receive(self) -> bytes:
        """Waits for the whole answer and returns its body."""
        while (answer := self.receive_some()) is None:
            pass
        return answer

    def receive_some(self) -> bytes | None:
        """Reads once. Returns the body when the answer is complete; ends the benchmark when it is not 200."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise SystemExit("the server closed a connection")
        self._received += part
        if self._body == (0, 0) and not self._read_head():
            return None
        start, end = self._body
        if len(self._received) < end:
            return None
        body = bytes(self._received[start:end])
        self._received.clear()
        self._body = (0, 0)
        return body

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._received[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"the server answered {bytes(self._received[:600])!r}")
        place = head.find(b"\r\ncontent-length:")
        if place < 0:
            raise SystemExit(f"an answer without Content-Length: {head!r}")
        length = head[place + 17 :].split(b"\r\n", 1)[0]
        self._body = (end + 4, end + 4 + int(length))
        return True

    def close(self) -> None:
        self.socket.close()


def post(path: str, body: bytes, accept: str = "application/json") -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: {accept}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def drive(
    connections: Sequence[KeptConnection], requests: Sequence[bytes], due: Sequence[float] | None = None
) -> tuple[list[bytes], list[float]]:
    """Sends every request once; returns the bodies of the answers and the seconds that each took, in the order given.

    `due` has the moment of each request, in ascending order and in seconds from the start. A request is not sent
    earlier, and its time counts from then, so that it includes the wait for a free connection. Without `due` all are
    due at the start: each connection sends its next request as soon as it has an answer.
    """
    answers: list[bytes] = [b""] * len(requests)
    seconds = [0.0] * len(requests)
    free = deque(connections)
    # The request that a connection works on, and the moment that it was due.
    busy: dict[KeptConnection, tuple[int, float]] = {}
    index = 0
    start = time.perf_counter()
    while index < len(requests) or busy:
        while free and index < len(requests):
            moment = start + (due[index] if due else 0.0)
            if moment > time.perf_counter():
                break
            connection = free.popleft()
            connection.send(requests[index])
            busy[connection] = (index, moment)
            index += 1
        pause = 60.0
        if free and index < len(requests):
            pause = max(0.0, start + (due[index] if due else 0.0) - time.perf_counter())
        ready, _, _ = select.select(list(busy), [], [], pause)
        if not ready and pause == 60.0:
            raise SystemExit("the server did not answer for a minute")
        for connection in ready:
            answer = connection.receive_some()
            if answer is None:
                continue
            done, moment = busy.pop(connection)
            answers[done] = answer
            seconds[done] = time.perf_counter() - moment
            free.append(connection)
    return answers, seconds
