"""A server that other benchmarks than embed.py need beside their own work, and a client with threads for it."""

import http.client
import json
import queue
import sys
import threading

from server_process import Refused, ServerProcess


class HttpSide:
    """A running `nearfar serve` with keep-alive connections to it."""

    def __init__(self, command: list[str], connections: int) -> None:
        try:
            self.server = ServerProcess(command)
        except Refused as error:
            sys.exit(f"the server ended before it was ready: {error}")
        self.connections: list[http.client.HTTPConnection] = []
        for _ in range(connections):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
            connection.connect()
            self.connections.append(connection)

    @staticmethod
    def bodies(texts: list[str], size: int) -> list[bytes]:
        """The requests, serialised before any clock runs."""
        return [json.dumps({"inputs": texts[i : i + size]}).encode() for i in range(0, len(texts), size)]

    def run(self, bodies: list[bytes]) -> list[bytes]:
        """Sends every body once over all connections; returns the unparsed answers in the order of the bodies."""
        answers: list[bytes | None] = [None] * len(bodies)
        failures: list[str] = []
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(bodies)):
            waiting.put(index)

        def work(connection: http.client.HTTPConnection) -> None:
            while True:
                try:
                    index = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    connection.request("POST", "/embed", bodies[index], {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    answers[index] = response.read()
                except (OSError, http.client.HTTPException) as error:
                    failures.append(repr(error))
                    return
                if response.status != 200:
                    failures.append(f"{response.status}: {answers[index][:300]!r}")
                    return

        threads = [threading.Thread(target=work, args=(connection,)) for connection in self.connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            sys.exit("the server failed: " + failures[0])
        return answers

    @staticmethod
    def vectors(answers: list[bytes]):
        import numpy

        return numpy.array([row for answer in answers for row in json.loads(answer)], dtype="f4")

    def stop(self) -> None:
        for connection in self.connections:
            connection.close()
        self.server.stop()
