"""Turns one implementation of a call into a method of the blocking client and of the asynchronous client.

Every call is written once, as a coroutine function of a class from which Client and AsyncClient inherit. AsyncClient returns the
coroutine. Client runs it to its end: since the transport of a blocking client never suspends, the first step of the coroutine is
also its last, and no event loop is needed.

    class Embedding(Calls):
        @call
        async def embed(self, texts: Sequence[str]) -> Floats: ...

    Client().embed(["near"])               # Floats
    AsyncClient().embed(["near"])          # a coroutine that gives Floats
"""

from __future__ import annotations

import functools
import sys
from typing import Any, AsyncGenerator, Callable, Coroutine, Generic, Iterator, TypeVar, overload

if sys.version_info >= (3, 10):
    from typing import Concatenate, ParamSpec
else:
    from typing_extensions import Concatenate, ParamSpec

from .session import Session

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Calls:
    """The base of all classes with calls. It has the session through which requests are sent."""

    _session: Session


class Blocking:
    """Marks a client whose calls return their result."""


class Awaiting:
    """Marks a client whose calls return coroutines and asynchronous iterators."""


class call(Generic[Parameters, Result]):
    """A call with one result. It is a method of Client and a coroutine function of AsyncClient."""

    def __init__(self, coroutine: Callable[Concatenate[Any, Parameters], Coroutine[Any, Any, Result]]) -> None:
        @functools.wraps(coroutine)
        def blocking(client: Any, *args: Parameters.args, **options: Parameters.kwargs) -> Result:
            return finish(coroutine(client, *args, **options))

        self._blocking, self._awaiting = blocking, coroutine
        self.__doc__ = coroutine.__doc__

    @overload
    def __get__(self, instance: Blocking, owner: Any = None) -> Callable[Parameters, Result]: ...
    @overload
    def __get__(self, instance: Awaiting, owner: Any = None) -> Callable[Parameters, Coroutine[Any, Any, Result]]: ...
    @overload
    def __get__(self, instance: None, owner: Any = None) -> Callable[..., Any]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return _method(self._blocking, self._awaiting, instance, owner)


class stream(Generic[Parameters, Result]):
    """A call with many results. Client returns an iterator, and AsyncClient an asynchronous iterator."""

    def __init__(self, generator: Callable[Concatenate[Any, Parameters], AsyncGenerator[Result, None]]) -> None:
        @functools.wraps(generator)
        def blocking(client: Any, *args: Parameters.args, **options: Parameters.kwargs) -> Iterator[Result]:
            steps = generator(client, *args, **options)
            try:
                while True:
                    try:
                        result = finish(steps.__anext__())
                    except StopAsyncIteration:
                        return
                    yield result
            finally:
                finish(steps.aclose())

        self._blocking, self._awaiting = blocking, generator
        self.__doc__ = generator.__doc__

    @overload
    def __get__(self, instance: Blocking, owner: Any = None) -> Callable[Parameters, Iterator[Result]]: ...
    @overload
    def __get__(self, instance: Awaiting, owner: Any = None) -> Callable[Parameters, AsyncGenerator[Result, None]]: ...
    @overload
    def __get__(self, instance: None, owner: Any = None) -> Callable[..., Any]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return _method(self._blocking, self._awaiting, instance, owner)


def _method(blocking: Any, awaiting: Any, instance: Any, owner: Any) -> Any:
    """Returns the function for the class of client, bound to the client unless it was accessed through the class."""
    function = blocking if issubclass(owner, Blocking) else awaiting
    return function if instance is None else function.__get__(instance, owner)


def finish(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine that never suspends, and returns its result."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    coroutine.close()
    raise RuntimeError("a call of the blocking client has suspended")
