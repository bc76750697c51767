"""How long things take: around a block, or around a function of any kind but async generators."""

import functools
import inspect
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypeVar

from typing_extensions import Self

F = TypeVar("F", bound=Callable[..., Any])


class Report(Protocol):
    """Takes a measurement of now."""

    def __call__(
        self, metric: str, value: float, *, unit: str = "", request_id: str | None = None
    ) -> None:
        """Report one measurement."""
        ...


class Timer:
    """Reports in ms how long each block took, also if it raised; nests, but belongs to one thread.

    As a decorator it may be called from any thread or task: of a coroutine function it times the
    await, of a generator function the whole iteration. Raises TypeError for an async generator
    function, of which no end need be seen.
    """

    __slots__ = ("_metric", "_report", "_request_id", "_started")

    def __init__(self, report: Report, metric: str, request_id: str | None = None) -> None:
        self._report = report
        self._metric = metric
        self._request_id = request_id
        self._started: list[float] = []

    def __enter__(self) -> Self:
        self._started.append(time.perf_counter())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tell(self._started.pop())

    def __call__(self, function: F) -> F:
        """Return the function, timed."""
        if inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is an async generator: time a block in it")
        if inspect.iscoroutinefunction(function):
            return self._awaited(function)
        if inspect.isgeneratorfunction(function):
            return self._iterated(function)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._tell(started)

        return timed  # type: ignore[return-value]  # it is called as the function is

    def _awaited(self, function: F) -> F:
        @functools.wraps(function)
        async def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                self._tell(started)

        return timed  # type: ignore[return-value]  # it is called as the function is

    def _iterated(self, function: F) -> F:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return (yield from function(*args, **kwargs))
            finally:
                self._tell(started)

        return timed  # type: ignore[return-value]  # it is called as the function is

    def _tell(self, started: float) -> None:
        took_ms = (time.perf_counter() - started) * 1000
        self._report(self._metric, took_ms, unit="ms", request_id=self._request_id)
