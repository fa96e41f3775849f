"""The two clients, which have the same calls over a blocking and an asynchronous transport."""

from __future__ import annotations

from typing import Any, Dict, Optional

import httpx

from .calls import Awaiting, Blocking, call, finish
from .collections import Collections
from .embedding import Embedding
from .errors import NearfarError, check_base_url
from .points import Points
from .scoring import Scoring
from .session import Session
from .transport import AsyncTransport, BlockingTransport, default_headers


class Operation(Embedding, Scoring, Collections, Points):
    """All calls, to which the classes below add a transport."""

    @call
    async def info(self) -> Dict[str, Any]:
        """Returns the model, dimension, limits, precision, threads and version of the service."""
        return await self._session.json("GET", "/info", lambda body: dict(body), pure=True)

    @call
    async def ready(self) -> bool:
        """Returns whether the service accepts requests: False while it loads its model, drains, or cannot be reached."""
        try:
            await self._session.send("GET", "/readyz", pure=False)
        except NearfarError as error:
            if error.status in (None, 503):
                return False
            raise
        return True

    @call
    async def forget_versions(self) -> None:
        """Forgets which versions of collections and queues this client has seen, so that any replica may answer its next calls.

        This is needed only after a service went back to an older state, such as that of a backup: until its collections have
        reached the versions that were seen before, calls would fail with UnavailableError.
        """
        self._session.forget_versions()


class Client(Operation, Blocking):
    """A connection to a Nearfar service. Threads may share one; close it, or use it as a context manager.

    base_url: the address of the service, including the path under which a proxy may serve it.
    timeout: the seconds that each step of a request (connect, send, wait for the answer) may take.
    retries: how often a request is repeated where that is safe. Any request is repeated when its connection was refused;
    requests that change nothing, or that carry an idempotency key, also after a broken connection or a 503 with Retry-After.
    Writes of points, and losses that append to a queue, carry a new key unless they are given one or retries is 0.
    track_versions: whether calls about a collection or queue are answered from no older version than this client has seen or
    written, whichever replica of the service a balancer chooses.
    api_key: sent as a bearer token; by default the one in the environment variable NEARFAR_API_KEY, if any, and with "" none.
    transport: an httpx transport that carries the requests instead of the network, for tests.

    Calls with many rows are split into as many requests as the limits of the service require, which `/info` states;
    progress=True shows the progress of such a call. Every failure raises a NearfarError that says what to change:
    UnreachableError when there is no answer, otherwise the class for the status.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        timeout: float = 60.0,
        *,
        retries: int = 2,
        api_key: Optional[str] = None,
        track_versions: bool = True,
        transport: Optional[httpx.BaseTransport] = None,
    ) -> None:
        check_base_url(base_url)
        http = httpx.Client(base_url=base_url, timeout=timeout, headers=default_headers(api_key), transport=transport)
        self._session = Session(BlockingTransport(http, timeout), retries, track_versions)

    def close(self) -> None:
        """Closes the connections."""
        finish(self._session.close())

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(Operation, Awaiting):
    """A connection to a Nearfar service for asyncio or trio; tasks may share one. See Client, whose calls it has.

    Calls are awaited. points and export_parts are asynchronous iterators (`async for`).
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        timeout: float = 60.0,
        *,
        retries: int = 2,
        api_key: Optional[str] = None,
        track_versions: bool = True,
        transport: Optional[httpx.AsyncBaseTransport] = None,
    ) -> None:
        check_base_url(base_url)
        http = httpx.AsyncClient(base_url=base_url, timeout=timeout, headers=default_headers(api_key), transport=transport)
        self._session = Session(AsyncTransport(http, timeout), retries, track_versions)

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
