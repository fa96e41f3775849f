"""One request after another over kept connections, with retries where a repetition cannot do harm."""

from __future__ import annotations

import time
from typing import Any, Mapping, Optional

import httpx

from .errors import NearfarError, UnreachableError, problem

# Longer than this nobody waits inside a call: the caller is told instead.
LONGEST_WAIT = 30.0
FIRST_WAIT = 0.1


class Transport:
    """Sends requests and turns every failure into a NearfarError."""

    def __init__(
        self,
        base_url: str,
        timeout: float,
        retries: int,
        api_key: Optional[str],
        transport: Optional[httpx.BaseTransport],
    ) -> None:
        headers = {"User-Agent": "nearfar-python/0.1.0"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = httpx.Client(base_url=base_url, timeout=timeout, headers=headers, transport=transport)
        self._retries = retries

    def close(self) -> None:
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        pure: bool,
        content: Optional[bytes] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
    ) -> httpx.Response:
        """A successful answer.

        A connection that was refused is tried again for every call: nothing was sent. A pure call, one that changes
        nothing or that the service carries out once only, is also repeated when the connection broke and when the
        service was too busy (503 with Retry-After).
        """
        wait = FIRST_WAIT
        for left in range(self._retries, -1, -1):
            try:
                response = self._http.request(method, path, content=content, headers=headers, params=params)
            except httpx.RequestError as error:
                broke = isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError))
                if left and (isinstance(error, httpx.ConnectError) or (pure and broke)):
                    time.sleep(wait)
                    wait *= 2
                    continue
                title = "Timeout" if isinstance(error, httpx.TimeoutException) else "Unreachable"
                where = f"{method} {error.request.url}"
                raise UnreachableError(None, title, f"{where}: {error or type(error).__name__}") from error
            if response.is_success:
                return response
            pause = retry_after(response)
            if not (left and pure and pause is not None and pause <= LONGEST_WAIT):
                raise problem(response)
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def json(self, method: str, path: str, *, pure: bool, **more: Any) -> Any:
        """What an endpoint answers in JSON: an object or a list."""
        response = self.send(method, path, pure=pure, **more)
        try:
            body = response.json()
        except (ValueError, RecursionError) as error:
            raise unreadable(response, f"not JSON: {error}") from error
        if not isinstance(body, (dict, list)):
            raise unreadable(response, "neither a JSON object nor a list")
        return body


def retry_after(response: httpx.Response) -> Optional[float]:
    """The seconds of a 503's Retry-After; None for any other answer, or where it is a date."""
    text = response.headers.get("Retry-After", "")
    return float(text) if response.status_code == 503 and text.isascii() and text.isdecimal() else None


def unreadable(response: httpx.Response, why: str) -> NearfarError:
    """An answer with a good status that is not what the service gives: another program listens there."""
    request_id = response.headers.get("X-Request-Id")
    return NearfarError(response.status_code, "Unreadable answer", f"{response.request.url}: {why}", None, request_id)
