"""The exceptions of the client. Their text says what to change."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any, Collection, Dict, Iterator, Optional, Type

import httpx


class NearfarError(Exception):
    """A failed call. The subclasses tell the reasons apart; those with a status are made from the service's answer.

    status: the HTTP status; None when there was no answer (UnreachableError).
    title, detail: what went wrong, in a few words and in a sentence.
    param: the field or row at fault, for instance `queries[3]`.
    request_id: the id of the request in the service's log.
    """

    def __init__(
        self,
        status: Optional[int],
        title: str,
        detail: str = "",
        param: Optional[str] = None,
        request_id: Optional[str] = None,
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.param = param
        self.request_id = request_id
        text = title if status is None else f"{status} {title}"
        if detail:
            text += f": {detail}"
        if param and param not in detail:
            text += f" ({param})"
        super().__init__(text)

    def __reduce__(self) -> Any:
        # By default an exception is pickled with its args, which are only the finished text here. Worker processes pickle
        # exceptions to report them.
        return type(self), (self.status, self.title, self.detail, self.param, self.request_id)

    def counted_from(self, first: int, fields: Collection[str], note: str = "") -> "NearfarError":
        """Returns this error of a request, which carried the rows of a call from `first` on, as an error of the whole call.

        The index of an entry in one of the `fields` is counted from the first row of the call. note: text to add to the detail.
        """
        param, detail = self.param, self.detail
        place = re.match(r"(?:\w+\.)?(\w+)\[(\d+)\]", param or "")
        if param and place and place[1] in fields:
            moved = place[0].replace(f"[{place[2]}]", f"[{int(place[2]) + first}]")
            detail = detail.replace(place[0], moved)
            param = moved + param[place.end() :]
        return type(self)(self.status, self.title, detail + note, param, self.request_id)


class UnreachableError(NearfarError):
    """There was no answer: nothing listens, the connection broke, or it took too long. `__cause__` is httpx's exception."""


class TimedOutError(UnreachableError):
    """There was no answer within the client's timeout. The service may still carry out the request."""


class UnexpectedAnswerError(NearfarError):
    """The answer is not that of a Nearfar service: base_url leads to another program, a wrong path, or an older version."""


class BadRequestError(NearfarError):
    """400: the request is malformed."""


class AuthenticationError(NearfarError):
    """401 or 403: the API key is missing, wrong, or does not permit the call."""


class NotFoundError(NearfarError):
    """404: there is no such collection, point or queue; `param` says which of these."""


class ConflictError(NearfarError):
    """409: the collection or queue exists with other settings, or holds texts of another model."""


class GoneError(NearfarError):
    """410: the collection or queue was deleted and made anew since this client has seen it. Nothing was changed.

    A call that reads or makes a collection or queue does not raise it, but takes the new one. For a write it is raised once, so
    that nothing is added to a collection whose earlier points are gone without the program's knowledge; the next call is for
    the new collection.
    """


class TooLargeError(NearfarError):
    """413: the request exceeds a limit of the service, which the detail states. Also raised before such a request is sent."""


class InvalidError(NearfarError):
    """422: the request is well-formed but invalid; `param` names the field or row."""


class UnavailableError(NearfarError):
    """503: the service is starting, stopping, or too busy."""


_CLASSES: Dict[int, Type[NearfarError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: TooLargeError,
    422: InvalidError,
    503: UnavailableError,
}


def problem(response: httpx.Response, base_url: httpx.URL) -> NearfarError:
    """Returns the exception for an unsuccessful answer, which may also come from a proxy and be no problem document."""
    body: object = None
    try:
        body = response.json()
    except (ValueError, RecursionError):
        pass
    fields: Dict[str, Any] = body if isinstance(body, dict) else {}
    # Errors under /v1/ have OpenAI's shape.
    inner = fields.get("error")
    if isinstance(inner, dict):
        fields = {"detail": inner.get("message"), "param": inner.get("param")}

    def text(name: str) -> Optional[str]:
        value = fields.get(name)
        return value if isinstance(value, str) else None

    status, param = response.status_code, text("param")
    title = text("title") or response.reason_phrase or "Failure"
    detail = text("detail") or ("" if fields else response.text[:200])
    request_id = response.headers.get("X-Request-Id")
    # Below /v1 the service has a route of Cohere's that is called like one of its own, and whose errors have a message alone.
    is_foreign = "message" in fields and "title" not in fields and base_url.path.strip("/") != ""
    if is_foreign:
        detail = text("message") or ""
    # A 404 about a collection, point or queue names it as its param. Without a param, the route itself does not exist.
    if response.is_redirect or is_foreign or status == 405 or (status == 404 and param is None):
        return UnexpectedAnswerError(status, title, _wrong_address(response, base_url, detail), param, request_id)
    hints = {
        401: "pass the service's key as Client(api_key=…)",
        413: "" if fields else f"a proxy in front of the service refuses the {_size(response)} bytes of the request",
    }
    hint = hints.get(status, "")
    detail = f"{detail}; {hint}" if detail and hint else detail or hint
    return _CLASSES.get(status, NearfarError)(status, title, detail, param, request_id)


def unreadable(response: httpx.Response, why: str) -> UnexpectedAnswerError:
    """Returns the exception for an answer with a successful status but unexpected content."""
    detail = f"{response.request.url}: {why}; is base_url the address of a Nearfar service?"
    return UnexpectedAnswerError(
        response.status_code, "Unreadable answer", detail, None, response.headers.get("X-Request-Id")
    )


def unreachable(error: httpx.RequestError, base_url: httpx.URL, timeout: object) -> UnreachableError:
    """Returns the exception for a request without an answer."""
    what = f"{error.request.method} {error.request.url}: {error or type(error).__name__}"
    if isinstance(error, httpx.TimeoutException):
        return TimedOutError(None, "Timeout", f"{what}; Client(timeout=…) is {timeout} (in seconds)")
    causes = list(_causes(error))
    hint = ""
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        port = base_url.port or {"https": 443}.get(base_url.scheme, 80)
        hint = f"; nothing listens at {base_url}: start the service with `nearfar serve --port {port}`,"
        hint += " or pass its address as base_url"
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        hint = f"; the host {base_url.host!r} of base_url is not known"
    elif any(isinstance(cause, ssl.SSLError) for cause in causes):
        hint = "; if the service does not speak TLS, write base_url with http://"
    return UnreachableError(None, "Unreachable", what + hint)


def check_base_url(base_url: str) -> None:
    """Raises ValueError for a base_url that cannot be the address of a service; it names the likely one where that is clear."""
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError(f"base_url {base_url!r} is not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        meant = "http://127.0.0.1:8080" if "://" in base_url or not base_url else f"http://{base_url.lstrip('/')}"
        raise ValueError(f"base_url {base_url!r} does not begin with http:// or https:// and a host; write {meant!r}")
    if url.query or url.fragment:
        raise ValueError(f"base_url {base_url!r} has a query or a fragment, which the address of a service does not have")


def _wrong_address(response: httpx.Response, base_url: httpx.URL, detail: str) -> str:
    request = response.request
    given = str(base_url).rstrip("/")
    said = f" ({detail})" if detail else ""
    if response.is_redirect:
        target = response.headers.get("Location", "nowhere")
        return f"{request.method} {request.url} is redirected to {target}; pass as base_url, now {given}, what it leads to{said}"
    root = given[: len(given) - len(base_url.path.rstrip("/"))]
    if root != given:
        expected = f"the address of a Nearfar service is expected, perhaps {root}"
    else:
        expected = "the address of a Nearfar service, as new as this client, is expected, such as http://127.0.0.1:8080"
    return f"{request.method} {request.url} is not served; base_url is {given}, where {expected}{said}"


def _size(response: httpx.Response) -> str:
    return f"{int(response.request.headers.get('Content-Length', 0)):,}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the causes of an exception, including those in exception groups."""
    pending, seen = [error], set()
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        pending += getattr(one, "exceptions", ())
