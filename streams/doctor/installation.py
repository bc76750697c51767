"""The installation that is looked at: its settings, and what several checks ask for, asked once."""

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from schemas.topics import TASKS_PREFIX, TOPICS
from streams.running import State
from workers.clock import wall_ms
from workers.errors import HostStopped
from workers.kafka import cluster as kafka_cluster
from workers.kafka import ends as kafka_ends
from workers.kafka import versions as kafka_versions
from workers.kafka.cluster import Cluster
from workers.kafka.ends import End
from workers.kafka.groups import Place
from workers.kafka.versions import Apis
from workers.settings import Settings

if TYPE_CHECKING:
    from schemas.processing import Spec

T = TypeVar("T")


class Once(Generic[T]):
    """Asks once, whichever thread comes first, and gives the answer, or the error, to all."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answer: list[T] = []
        self._error: Exception | None = None

    def __call__(self) -> T:
        """Return the answer. Raises what asking raised."""
        with self._lock:
            if self._error is not None:
                raise self._error
            if not self._answer:
                try:
                    self._answer.append(self._ask())
                except Exception as error:
                    self._error = error
                    raise
            return self._answer[0]


@dataclass(frozen=True, slots=True)
class Given:
    """What the doctor was told: settings, what was wrong with them, the environment, the watch.

    `state` is the stack that runs out of the data directory, if one does.
    """

    settings: Settings
    environ: Mapping[str, str]
    problems: tuple[str, ...] = ()
    state: State | None = None
    watch_s: float = 3.0


@dataclass(frozen=True)
class Site:
    """What checks look at; what is asked of Kafka raises KafkaUnavailable whenever it is asked."""

    given: Given
    apis: Once[Apis] = field(init=False)
    cluster: Once[Cluster] = field(init=False)
    ends: Once[Mapping[Place, End]] = field(init=False)
    specs: "Once[Mapping[str, Spec]]" = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "apis", Once(self._asked_apis))
        object.__setattr__(self, "cluster", Once(self._looked))
        object.__setattr__(self, "ends", Once(self.ends_now))
        object.__setattr__(self, "specs", Once(self._specs))

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.given.settings

    def _asked_apis(self) -> Apis:
        return kafka_versions.api_versions(self.settings.kafka)

    def _looked(self) -> Cluster:
        """Return the cluster; a broker that is away is told at once, and by address."""
        self.apis()
        return kafka_cluster.look(self.settings.kafka)

    def now_ms(self) -> int:
        """Return the clock of this machine, ms since the epoch."""
        return wall_ms()

    def places(self) -> list[Place]:
        """Return every partition of the topics of the table, and of workers, that exist."""
        return [
            (name, number)
            for name, partitions in self.cluster().topics.items()
            if name in TOPICS or name.startswith(TASKS_PREFIX)
            for number in partitions
        ]

    def ends_now(self) -> Mapping[Place, End]:
        """Return the ends of all of them as they are now, not as they were when first asked."""
        return kafka_ends.ends(self.settings.kafka, self.places())

    def _specs(self) -> "Mapping[str, Spec]":
        """Return every processor's specification; this imports all of them, and polars."""
        from streams import topology  # noqa: PLC0415  # a machine of workers alone has no polars
        from workers.hosting.sizes import sized  # noqa: PLC0415  # as above

        counts = {name: len(partitions) for name, partitions in self.cluster().topics.items()}
        found = {name: topology.spec_named(name) for name in topology.PROCESSORS}
        for name, spec in found.items():
            with contextlib.suppress(HostStopped):  # unequal counts are told with the topics
                found[name] = sized(spec, counts)
        return found
