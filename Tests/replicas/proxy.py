"""What proxies in front of a database's socket have in common: they listen, and serve each client on a thread."""

import socket
import threading


class Proxy:
    """Listens on 127.0.0.1. `path` is the database's Unix socket, and `lock` guards what threads share."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"postgresql://nearfar@127.0.0.1:{self.port}/postgres"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Serves one client until it is gone."""
        raise NotImplementedError
