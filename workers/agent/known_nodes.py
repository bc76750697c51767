"""The nodes of the catalogue, followed for as long as there is a broker to follow them on."""

import threading
import time
from collections.abc import Callable, Mapping

from schemas.codec import Codec
from schemas.registrations import NodeReported
from workers.catalogue import CatalogueReader
from workers.errors import WorkerError
from workers.settings import KafkaSettings
from workers.telemetry import logger

AGAIN_S = 30.0

log = logger(__name__)


class KnownNodes:
    """Begins to follow at once, and again 30 s after it failed; safe to share between threads."""

    def __init__(
        self,
        settings: KafkaSettings,
        codec: Codec,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._clock = clock
        self._reader: CatalogueReader | None = None
        self._next = 0.0
        self._asking = threading.Lock()

    def all(self) -> Mapping[str, NodeReported] | None:
        """Return the nodes by name, or None while they are not known."""
        with self._asking:
            return self._all()

    def _all(self) -> Mapping[str, NodeReported] | None:
        if self._reader is None:
            if self._clock() < self._next:
                return None
            self._next = self._clock() + AGAIN_S
            self._reader = CatalogueReader(self._settings, self._codec, (NodeReported,))
            self._reader.begin()
        try:
            current = self._reader.current()
        except WorkerError as error:
            log.warning("agent.nodes_unknown", error=str(error))
            self.close()
            return None
        return current.of(NodeReported) if self._reader.ready else None

    def close(self) -> None:
        """Follow no more."""
        if self._reader is not None:
            self._reader.stop()
            self._reader = None
