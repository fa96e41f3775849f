"""A stand-in for a service, which gives the answers that a test provides."""

import json

import httpx

INFO = {"name": "nearfar", "version": "0.1.0", "limits": {"max_body_bytes": 134217728, "max_inputs": 100000}}


class Script:
    """Answers requests with the given responses and exceptions, one after another, and records the requests.

    When `info` is given, it is the answer of `/info`, and requests for `/info` are recorded separately.
    """

    def __init__(self, *answers, info=None):
        self.answers, self.requests, self.info, self.asked = list(answers), [], info, 0

    def __call__(self, request):
        if self.info is not None and request.url.path.endswith("/info"):
            self.asked += 1
            return httpx.Response(200, json=self.info)
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def bodies(self):
        return [json.loads(request.content) for request in self.requests]


def limits(**changed):
    return {**INFO, "limits": {**INFO["limits"], **changed}}
