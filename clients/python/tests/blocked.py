"""Wraps an AsyncClient so that it is called like a Client, and the same tests can run with both."""

import inspect

from anyio.from_thread import start_blocking_portal
from nearfar import AsyncClient, Client


class BlockedClient:
    """Runs every call of an AsyncClient in an event loop of its own thread."""

    def __init__(self, *arguments, **options):
        self._client = AsyncClient(*arguments, **options)
        self._context = start_blocking_portal("asyncio")
        self._portal = self._context.__enter__()

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*arguments, **options):
            given = method(*arguments, **options)
            if inspect.isasyncgen(given):
                return self._each(given)
            return self._portal.call(wait, given)

        return call

    def _each(self, steps):
        while True:
            try:
                yield self._portal.call(wait, steps.__anext__())
            except StopAsyncIteration:
                return

    def close(self):
        self._portal.call(self._client.close)
        self._context.__exit__(None, None, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


async def wait(given):
    return await given


KINDS = {"Client": Client, "AsyncClient": BlockedClient}
