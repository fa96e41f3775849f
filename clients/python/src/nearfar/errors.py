"""What can go wrong, as exceptions."""

from __future__ import annotations

from typing import Optional

import httpx


class NearfarError(Exception):
    """A failure that the service reports, from its problem document (RFC 9457).

    status: the HTTP status; None when there is no answer (UnreachableError).
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

    def __reduce__(self):  # type: ignore[no-untyped-def]
        # Exceptions are pickled by their args, which hold the finished text only; worker processes send them home.
        return type(self), (self.status, self.title, self.detail, self.param, self.request_id)


class UnreachableError(NearfarError):
    """No answer came: nobody listens, the connection broke, or the time was up. `__cause__` is httpx's exception."""


def problem(response: httpx.Response) -> NearfarError:
    """The exception for an answer that is not a success, whoever gave it: a balancer's page is no problem document."""
    body: object = None
    try:
        body = response.json()
    except (ValueError, RecursionError):
        pass
    fields = body if isinstance(body, dict) else {}

    def text(name: str) -> Optional[str]:
        value = fields.get(name)
        return value if isinstance(value, str) else None

    return NearfarError(
        response.status_code,
        text("title") or response.reason_phrase or "Failure",
        text("detail") or ("" if fields else response.text[:200]),
        text("param"),
        response.headers.get("X-Request-Id"),
    )
