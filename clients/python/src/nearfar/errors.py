"""What can go wrong, as exceptions whose text says what to change."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any, Collection, Dict, Iterator, Optional, Type

import httpx


class NearfarError(Exception):
    """A call that failed. The classes below say how; those with a status come from the service's answer.

    status: the HTTP status; None when there was no answer (UnreachableError).
    title, detail: what went wrong, in short and in a sentence.
    param: the field or row that is wrong, for instance `queries[3]`.
    request_id: how the service's log names the request.
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
        # Exceptions are pickled by their args, which hold only the finished text; worker processes send exceptions home.
        return type(self), (self.status, self.title, self.detail, self.param, self.request_id)

    def counted_from(self, first: int, fields: Collection[str], note: str = "") -> "NearfarError":
        """The same error about a call of which a request carried the rows from `first` on.

        An entry of one of the `fields` is counted from the beginning of the call. note: what to add to the detail.
        """
        param, detail = self.param, self.detail
        place = re.match(r"(?:\w+\.)?(\w+)\[(\d+)\]", param or "")
        if param and place and place[1] in fields:
            moved = place[0].replace(f"[{place[2]}]", f"[{int(place[2]) + first}]")
            detail = detail.replace(place[0], moved)
            param = moved + param[place.end() :]
        return type(self)(self.status, self.title, detail + note, param, self.request_id)


class UnreachableError(NearfarError):
    """No answer came: nothing listens, the connection broke, or the time was up. `__cause__` is httpx's exception."""


class TimedOutError(UnreachableError):
    """No answer came within the client's timeout. The service may still carry the request out."""


class UnexpectedAnswerError(NearfarError):
    """An answer that a Nearfar service does not give: base_url names another program, another path, or an older version."""


class BadRequestError(NearfarError):
    """400: the request is malformed."""


class AuthenticationError(NearfarError):
    """401 or 403: the API key is missing, wrong, or lacks the right."""


class NotFoundError(NearfarError):
    """404: there is no such collection, point or queue; `param` says which of them."""


class ConflictError(NearfarError):
    """409: it exists with other settings, or was made with another model."""


class TooLargeError(NearfarError):
    """413: a request over a limit of the service, which the detail states. Also raised before such a request is sent."""


class InvalidError(NearfarError):
    """422: the request is well-formed but invalid; `param` names the field or row."""


class UnavailableError(NearfarError):
    """503: the service is starting, stopping, or has too much to do."""


_CLASSES: Dict[int, Type[NearfarError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    422: InvalidError,
    503: UnavailableError,
}


def problem(response: httpx.Response, base_url: httpx.URL) -> NearfarError:
    """The exception for an answer that is not a success, whoever gave it: a proxy's page is not a problem document."""
    body: object = None
    try:
        body = response.json()
    except (ValueError, RecursionError):
        pass
    fields: Dict[str, Any] = body if isinstance(body, dict) else {}
    # Below /v1/ the service's errors have the shape of OpenAI's.
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
    # A 404 about a collection, point or queue names it as its param; without one the route itself is not there.
    if response.is_redirect or status == 405 or (status == 404 and param is None):
        return UnexpectedAnswerError(status, title, _wrong_address(response, base_url, detail), param, request_id)
    hints = {
        401: "pass the service's key as Client(api_key=…)",
        413: "" if fields else f"a proxy in front of the service refuses the {_size(response)} bytes of the request",
    }
    hint = hints.get(status, "")
    detail = f"{detail}; {hint}" if detail and hint else detail or hint
    return _CLASSES.get(status, NearfarError)(status, title, detail, param, request_id)


def unreadable(response: httpx.Response, why: str) -> UnexpectedAnswerError:
    """The exception for an answer with a good status that is not what the service gives."""
    detail = f"{response.request.url}: {why}; is base_url the address of a Nearfar service?"
    return UnexpectedAnswerError(
        response.status_code, "Unreadable answer", detail, None, response.headers.get("X-Request-Id")
    )


def unreachable(error: httpx.RequestError, base_url: httpx.URL, timeout: object) -> UnreachableError:
    """The exception for a request that got no answer."""
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
    """ValueError for what cannot be the address of a service, with what is meant instead where that is clear."""
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
    """The exceptions behind an exception, those in groups included."""
    pending, seen = [error], set()
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        pending += getattr(one, "exceptions", ())
