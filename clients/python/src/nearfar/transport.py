"""The transports of the two clients: httpx, blocking or asynchronous. The clients differ only here."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, Optional, Protocol

import anyio
import httpx

from .version import __version__


class Transport(Protocol):
    """Sends single requests, and pauses."""

    base_url: httpx.URL
    timeout: object

    async def send(self, method: str, path: str, **parts: Any) -> httpx.Response:
        """Makes one attempt. parts: `content`, `headers` and `params`, as in httpx. Raises httpx.RequestError."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


class BlockingTransport:
    """A transport whose coroutines never suspend, but block until the work is done."""

    def __init__(self, http: httpx.Client, timeout: object) -> None:
        self._http = http
        self.timeout: object = timeout
        self.base_url: httpx.URL = http.base_url

    async def send(self, method: str, path: str, **parts: Any) -> httpx.Response:
        return self._http.request(method, path, **parts)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def close(self) -> None:
        self._http.close()


class AsyncTransport:
    """A transport for asyncio and trio."""

    def __init__(self, http: httpx.AsyncClient, timeout: object) -> None:
        self._http = http
        self.timeout: object = timeout
        self.base_url: httpx.URL = http.base_url

    async def send(self, method: str, path: str, **parts: Any) -> httpx.Response:
        return await self._http.request(method, path, **parts)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def close(self) -> None:
        await self._http.aclose()


def default_headers(api_key: Optional[str]) -> Dict[str, str]:
    """The header fields of every request.

    api_key: None for the one in the environment variable NEARFAR_API_KEY, and "" for none at all.
    """
    headers = {"User-Agent": f"nearfar-python/{__version__}"}
    if api_key is None:
        api_key = os.environ.get("NEARFAR_API_KEY", "")
    if not all("!" <= character <= "~" for character in api_key):
        # The key is not shown.
        raise ValueError("the API key has a character other than visible ASCII, perhaps the end of a line")
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    return headers
