"""Sends requests to a service, repeats them where that is safe, reads answers, and splits large calls.

Every failure raises a NearfarError.
"""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Optional, Sequence, TypeVar, Union
from uuid import uuid4

import httpx

from .batches import Batch, Limits, check_size, cut
from .errors import GoneError, NearfarError, UnreachableError, problem, unreachable, unreadable
from .progress import progress_bar
from .safetensors import Tensors, decode
from .transport import Transport
from .versions import SEEN, WANTED, Versions
from .wire import JSON

# When a busy service asks for a longer wait than this, in seconds, the call fails and the caller can decide.
LONGEST_WAIT = 30.0
FIRST_WAIT = 0.1
# A body up to this size, in bytes, is sent without requesting the limits first, since a refusal of it arrives reliably.
SMALL_BODY = 1 << 20

Result = TypeVar("Result")


class Session:
    """The operations from which the calls of both clients are built."""

    def __init__(self, transport: Transport, retries: int, track_versions: bool = True) -> None:
        if retries < 0:
            raise ValueError(f"retries is {retries}, which is less than none")
        self._transport = transport
        self._retries = retries
        self._versions: Optional[Versions] = Versions() if track_versions else None
        self._limits: Optional[Limits] = None

    async def close(self) -> None:
        await self._transport.close()

    async def send(
        self,
        method: str,
        path: str,
        *,
        pure: bool,
        content: Optional[bytes] = None,
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        about: Sequence[str] = (),
        anew: bool = False,
    ) -> httpx.Response:
        """Sends a request, repeats it where that is safe, and returns a successful answer.

        Every request is repeated when its connection was refused, because nothing was sent. A pure request, which changes
        nothing or which the service carries out only once, is also repeated when the connection broke and when the service
        was too busy (503 with Retry-After).

        about: the names of the collections and queues of which the service must not be behind what was seen before. anew:
        whether one that was deleted and made anew meanwhile is taken as it is now; otherwise this raises GoneError, once.
        """
        wait = FIRST_WAIT
        base_url = self._transport.base_url
        left = self._retries
        seen = self._versions.wanted(about) if self._versions else ""
        while True:
            fields = {**(headers or {}), WANTED: seen} if seen else headers
            try:
                response = await self._transport.send(method, path, content=content, headers=fields, params=params)
            except httpx.RequestError as error:
                broke = isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError))
                if left and (isinstance(error, httpx.ConnectError) or (pure and broke)):
                    await self._transport.sleep(wait)
                    wait *= 2
                    left -= 1
                    continue
                raise unreachable(error, base_url, self._transport.timeout) from error
            if self._versions and SEEN in response.headers:
                self._versions.note(response.headers[SEEN])
            if response.is_success:
                return response
            if self._versions and seen and response.status_code == 410:
                # The service has not carried out the request.
                failure = problem(response, base_url)
                if isinstance(failure, GoneError) and failure.param == WANTED:
                    self._versions.forget(seen)
                    if anew:
                        seen = ""
                        continue
                raise failure
            pause = retry_after(response)
            if not (left and pure and pause is not None and pause <= LONGEST_WAIT):
                raise problem(response, base_url)
            await self._transport.sleep(pause)
            left -= 1

    def key(self, given: Optional[str]) -> Optional[str]:
        """Returns the idempotency key of a write: the given one, or else a new one if requests are repeated at all."""
        return uuid4().hex if given is None and self._retries > 0 else given

    def forget_versions(self) -> None:
        if self._versions:
            self._versions.clear()

    async def json(
        self, method: str, path: str, read: Callable[[Any], Result], *, pure: bool, **more: Any
    ) -> Result:
        """Sends a request, whose body is JSON if there is one, and returns the JSON answer as read by `read`."""
        if more.get("content") is not None:
            more["headers"] = {"Content-Type": JSON, **more.get("headers", {})}
        return read_json(await self.send(method, path, pure=pure, **more), read)

    async def in_batches(
        self,
        method: str,
        path: str,
        batch: Batch,
        read: Callable[[httpx.Response], Result],
        *,
        pure: bool,
        headers: Mapping[str, str] = {},
        idempotency_key: Optional[str] = None,
        batch_size: Optional[int] = None,
        progress: bool = False,
        title: str,
        unit: str,
        changes: bool = False,
        about: Sequence[str] = (),
    ) -> List[Result]:
        """Sends as many requests as the rows need, one after another, and returns their answers.

        idempotency_key: sent with a single request as it is; with several, a number is appended for each. changes: whether the
        requests change something, so that an error must say how much was done before it. about: see send.
        """
        small = len(batch) <= 1 and batch.body.total <= SMALL_BODY
        pieces = cut(batch, Limits() if small else await self.limits(), batch_size)
        results = []
        with progress_bar(progress, title, len(batch), unit) as advance:
            for number, rows in enumerate(pieces):
                fields = {"Content-Type": batch.media_type, **headers}
                if idempotency_key is not None:
                    fields["Idempotency-Key"] = idempotency_key if len(pieces) == 1 else f"{idempotency_key}-{number}"
                try:
                    response = await self.send(
                        method,
                        path,
                        pure=pure,
                        content=batch.request(rows),
                        headers=fields,
                        about=about,
                        anew=not changes,
                    )
                except NearfarError as error:
                    if number == 0:
                        raise
                    note = f"; the {rows.start} {unit} before this request are done" if changes else ""
                    raise error.counted_from(rows.start, batch.fields, note) from error.__cause__
                results.append(read(response))
                advance(rows.stop - rows.start)
        return results

    async def check_size(self, body: bytes, advice: str) -> None:
        """Raises TooLargeError when the body of a request that cannot be split exceeds the service's limit."""
        if len(body) > SMALL_BODY:
            check_size(body, await self.limits(), advice)

    async def limits(self) -> Limits:
        """Returns the limits of the service, which are requested once."""
        if self._limits is None:
            try:
                self._limits = await self.json("GET", "/info", Limits.read, pure=True)
            except UnreachableError:
                raise
            except NearfarError:
                # If the service has a problem, the call itself will report it. A proxy may also hide `/info` from clients.
                return Limits()
        return self._limits


def read_json(response: httpx.Response, read: Callable[[Any], Result]) -> Result:
    """Returns a JSON object or list as read by `read`."""
    try:
        body = response.json()
    except (ValueError, RecursionError) as error:
        raise unreadable(response, f"not JSON: {error}") from error
    if not isinstance(body, (dict, list)):
        raise unreadable(response, "neither a JSON object nor a list")
    try:
        return read(body)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise unreadable(response, f"not the JSON that was expected: {_short(error)}") from error


def read_tensors(response: httpx.Response, read: Callable[[Tensors, Mapping[str, str]], Result]) -> Result:
    """Returns a safetensors answer as read by `read`."""
    try:
        return read(*decode(response.content))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise unreadable(response, f"not the safetensors that were expected: {_short(error)}") from error


def _short(error: Exception) -> Union[str, Exception]:
    return f"{error} is missing" if isinstance(error, KeyError) else error


def retry_after(response: httpx.Response) -> Optional[float]:
    """The seconds in the Retry-After of a 503. None for any other answer, or when it is not a whole number of seconds."""
    text = response.headers.get("Retry-After", "")
    return float(text) if response.status_code == 503 and text.isascii() and text.isdecimal() else None
