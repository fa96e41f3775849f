"""What proxies in front of a database's socket have in common."""

import threading

from listener import Listener


class Proxy(Listener):
    """`path` is the database's Unix socket, and `lock` guards what threads share."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.Lock()
        super().__init__()

    @property
    def url(self) -> str:
        return f"postgresql://nearfar@127.0.0.1:{self.port}/postgres"
