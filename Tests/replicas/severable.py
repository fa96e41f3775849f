"""A proxy in front of a database's socket whose connections can be cut."""

import socket
import threading

from proxy import Proxy


class Severable(Proxy):
    """Carries bytes to and from a Unix socket."""

    def __init__(self, path: str) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(path)

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.path)
        except OSError:
            client.close()
            server.close()
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        with self.lock:
            self.open.update(pair)
        back = threading.Thread(target=self._carry, args=(server, client), daemon=True)
        back.start()
        self._carry(client, server)
        back.join()
        with self.lock:
            self.open.difference_update(pair)
        for each in pair:
            each.close()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(1 << 16):
                target.sendall(piece)
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self) -> int:
        """Ends every connection at both ends; returns how many there were. What was under way is lost."""
        with self.lock:
            cut = list(self.open)
        for each in cut:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        return len(cut) // 2

    def close(self) -> None:
        self.listener.close()
        self.cut()
