"""What the processors of one process share: codec, catalogue, cluster, clock; opened when needed.

Building an app must not wait for a broker, so everything is opened by the first that asks.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import Codec
from workers.bad_entries import BadEntries
from workers.catalogue import CatalogueReader
from workers.clock import Clock
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import Settings


@dataclass(frozen=True, slots=True)
class World:
    """What is shared, once it is open; `catalogue` returns the catalogue as it stands."""

    codec: Codec
    cluster: str
    catalogue: Callable[[], Catalogue]
    clock: Clock


class Surroundings:
    """Opens a World once; safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        kinds: Iterable[type[Event]],
        clock: Clock,
        codec: Codec | None = None,
    ) -> None:
        """Prepare to open; the codec is the registry's unless one is given."""
        self._settings = settings
        self._codec = codec
        self._registry = Registry(settings.registry)
        self._kinds = frozenset(kinds)
        self._clock = clock
        self._lock = threading.Lock()
        self._reader: CatalogueReader | None = None
        self._bad: BadEntries | None = None
        self._world: World | None = None

    def open(self) -> World:
        """Return the world; the first call reads the catalogue to its end.

        Raises KafkaUnavailable or RegistryUnavailable.
        """
        with self._lock:
            if self._world is None:
                codec = self._codec or self._registry.codec()
                cluster = kafka.cluster_id(self._settings.kafka)
                self._bad = BadEntries(self._settings.kafka, codec)
                reader = CatalogueReader(self._settings.kafka, codec, self._kinds, self._bad)
                self._reader = reader.start()
                self._world = World(codec, cluster, reader.current, self._clock)
            return self._world

    def close(self) -> None:
        """Stop following the catalogue."""
        with self._lock:
            if self._reader is not None:
                self._reader.stop()
            if self._bad is not None:
                self._bad.close()
            self._reader = self._world = None
            self._registry.close()
