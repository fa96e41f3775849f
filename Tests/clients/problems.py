"""Checks that the failure of a native endpoint is a problem document (RFC 9457)."""

import requests


def problem(response: requests.Response, status: int, param: str | None = None) -> dict:
    """Returns the problem document after checking it. Its `param` may be more precise: points[1].vector for points[1]."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:1000]}"
    assert response.headers["Content-Type"].split(";")[0].strip() == "application/problem+json"
    assert response.headers["X-Request-Id"]
    assert "total;dur=" in response.headers["Server-Timing"]
    body = response.json()
    assert set(body) <= {"type", "title", "status", "detail", "param", "instance"}
    assert body["status"] == status
    assert body["title"]
    assert body["detail"].strip(" .").lower() != body["title"].lower(), "a detail that tells no more than the title"
    if param is not None:
        assert body["param"] == param or body["param"].startswith((param + ".", param + "[")), body
    return body
