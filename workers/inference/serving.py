"""On what terms an instance is served: what its registration says, else what the worker does. Pure.

Entries of a service's `environment` whose keys begin with `serve.` are its own terms.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from schemas.registrations import ServiceRegistered
from workers.inference.replicas import SERVE, Hosted
from workers.runtimes.options import checked
from workers.scheduling.terms import Terms
from workers.scheduling.windows import Window
from workers.settings_section import Section

UNKNOWN_BUDGET_MS = 1000.0
"""What tasks are expected to be given until the first one has come."""
_WATCHED = 32
_LOOKED_EVERY = 16
_MOVED = 1.25


def _split(given: object) -> object:
    return given.replace(",", " ").split() if isinstance(given, str) else given


Ms = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Drop = Literal["oldest", "newest", "lowest-priority", "replace-by-key"]


class Serving(Section):
    """The terms that a registration may name; those it does not are the worker's."""

    budget_ms: Ms | None = Field(default=None, description="answers are in time so long after, ms")
    period_ms: Ms | None = Field(default=None, description="declared time between tasks, ms")
    batch_ms: dict[Count, Ms] = Field(default={}, description="declared time per batch size, ms")
    queue_tasks: Count | None = Field(default=None, description="most tasks that wait for it")
    queue_ms: Ms | None = Field(default=None, description="most predicted work that waits, ms")
    drop: Drop | None = Field(default=None, description="who goes when the queue is full")
    max_age_ms: Ms | None = Field(default=None, description="what waited longer is expired, ms")
    max_gap_ms: Ms | None = Field(default=None, description="longest time without service, ms")
    max_batch: Count | None = Field(default=None, description="most tasks executed together")
    preferred: Annotated[tuple[Count, ...], BeforeValidator(_split)] = Field(
        default=(), description="batch sizes that execute well, such as 1,4,8"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The worker's terms for services that name none; as in Terms."""

    queue_tasks: int = 1000
    queue_ms: float = 2000.0
    drop: str = "lowest-priority"
    max_age_ms: float = float("inf")
    max_gap_ms: float = 5000.0
    max_batch: int = 32


def serving_of(service: ServiceRegistered) -> Serving:
    """Return the terms that a registration names.

    Raises BrokenModel, naming the key, for one that is unknown or has an unusable value.
    """
    given = {
        entry.key.removeprefix(SERVE): entry.value
        for entry in service.environment
        if entry.key.startswith(SERVE)
    }
    return checked(Serving, given, SERVE)


def terms_of(hosted: Hosted, bounds: Bounds, budget_ms: float) -> Terms:
    """Return an instance's terms; `budget_ms` counts where its registration names none.

    A model that cannot be given several tasks at once has batches of one.
    """
    own = serving_of(hosted.service)
    named = own.model_dump(exclude_none=True, exclude={"batch_ms", "preferred"})
    known = {"budget_ms": budget_ms, **asdict(bounds), **named}
    if not hosted.session.signature.batches:
        known["max_batch"] = 1
    declared = hosted.service.latency_ms
    return Terms(
        name=hosted.instance,
        prior_ms=declared if declared and declared > 0.0 else own.batch_ms.get(1),
        prior_batches=tuple(sorted((n, ms) for n, ms in own.batch_ms.items() if n > 1)),
        preferred=tuple(size for size in own.preferred if size <= known["max_batch"]),
        variant=hosted.variant.name,
        device=hosted.variant.device,
        **known,
    )


class Budget:
    """What tasks are given at their arrival: the median of the latest, ms."""

    def __init__(self) -> None:
        self._given = Window(_WATCHED)
        self._seen = 0

    def moved(self, given_ms: float, assumed_ms: float) -> float | None:
        """Take what a task was given; return the median where it has left what is assumed.

        Looked at with the first task and then with every sixteenth; it has left when it is off by
        a quarter.
        """
        if given_ms <= 0.0:
            return None
        self._given.add(given_ms)
        self._seen += 1
        if self._seen % _LOOKED_EVERY != 1:
            return None
        usual = self._given.quantile(0.5)
        calm = assumed_ms / _MOVED <= usual <= assumed_ms * _MOVED
        return None if calm else usual
