"""A stand-in for a service, which answers what a test gives it."""

import json

import httpx

INFO = {"name": "nearfar", "version": "0.1.0", "limits": {"max_body_bytes": 134217728, "max_inputs": 100000}}


class Script:
    """Answers with one after another of the responses and exceptions that it is given, and notes the requests.

    `/info` has its own answer and is noted apart, where `info` is given.
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
