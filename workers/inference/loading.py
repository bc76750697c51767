"""Loads models in a thread of their own, so that serving goes on meanwhile."""

import os
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from threading import Lock

import numpy as np

from placement.local.processes import resident_mib
from workers.artifacts.obtaining import Artifacts
from workers.inference.replicas import Hosted, Wanted
from workers.inference.serving import serving_of
from workers.runtimes.artifacts import fetch, start, terms_of
from workers.runtimes.base import Port, Runtime, Session
from workers.runtimes.errors import BrokenModel, ExecutionFailed

WARM_UPS, LONG_WARM_UPS = 6, 3
LONG_WARM_UP_S = 0.5
"""A model whose trials take longer is tried less often."""
FETCHES = 8
"""Models that are fetched at the same time."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded instance, and how long (ms) trial executions took, the first of them cold."""

    hosted: Hosted
    warm_ms: tuple[float, ...]


class Loader:
    """Fetches several models at a time and loads one after the other.

    A slow source holds up only its own model; two that load at once would time each other's first
    executions. `runtimes` are by artifact format.
    """

    def __init__(self, runtimes: Mapping[str, Runtime], artifacts: Artifacts) -> None:
        self._runtimes = dict(runtimes)
        self._artifacts = artifacts
        self._pool = ThreadPoolExecutor(FETCHES, thread_name_prefix="loader")
        self._turn = Lock()
        self._numbers = count(1)

    def load(self, wanted: Wanted) -> "Future[Loaded]":
        """Begin to load; the future raises RuntimeFailure when the model cannot be used."""
        return self._pool.submit(self._load, wanted)

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _load(self, wanted: Wanted) -> Loaded:
        if wanted.service is None or wanted.variant is None:
            raise BrokenModel(f"service {wanted.name} is not registered")
        service, variant = wanted.service, wanted.variant
        terms = terms_of(service, variant, self._artifacts)
        serving_of(service)
        fetched = fetch(self._runtimes, self._artifacts, service, variant)
        with self._turn:
            before = resident_mib(os.getpid())
            session = start(fetched, service, terms)
            warm_ms = _warm_up(session)
            grown = resident_mib(os.getpid()) - before
        hosted = Hosted(
            instance=wanted.instance,
            service=service,
            variant=variant,
            session=session,
            runtime=fetched.runtime.name,
            digest=fetched.digest,
            loaded_as=f"{wanted.instance}#{next(self._numbers)}",
            memory_mib=max(0, grown),
        )
        return Loaded(hosted, warm_ms)


def _warm_up(session: Session) -> tuple[float, ...]:
    """Execute on zeros, because first executions are slow, and return how long each took, ms.

    Several are timed: what is expected of a model must not hang on one that was interrupted.
    Zeros of size 1 in every open dimension need not be valid input: a model that refuses them is
    no broken model.
    """
    ports = session.signature.inputs
    if any(port.dtype.kind not in "biuf" for port in ports):
        return ()
    zeros = [_zeros(port) for port in ports]
    took_ms: list[float] = []
    while len(took_ms) < LONG_WARM_UPS or (
        len(took_ms) < WARM_UPS and sum(took_ms) < LONG_WARM_UP_S * 1000
    ):
        started = time.perf_counter()
        try:
            session.run(zeros)
        except ExecutionFailed:
            return ()
        took_ms.append((time.perf_counter() - started) * 1000)
    return tuple(took_ms)


def _zeros(port: Port) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return np.zeros([1 if size is None else size for size in port.shape], port.dtype)
