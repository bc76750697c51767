"""What a scenario says: services, when their work comes, how long it takes, budgets. Pure.

The JSON schema of the file is `Scenario.model_json_schema()`; times are ms from the beginning.
"""

from typing import Annotated

from pydantic import Field, model_validator

from workers.simulation import parts
from workers.simulation.fields import Listed, Ms, Part
from workers.simulation.parts import File, Name, Serving, Whole
from workers.simulation.service_times import Heat, ServiceTime
from workers.simulation.thermal import Thermal

MOST_FRAMES = 20_000_000


class Batching(parts.Batching):
    """What may be executed together."""

    groups: Annotated[
        Whole, Field(description="frames take turns in so many shapes; a batch is of one shape")
    ] = 1


class Service(Serving):
    """One model or microservice of the worker."""

    service_time: Annotated[ServiceTime, Field(description="how long an execution takes")]
    priority: Annotated[int, Field(ge=0, le=1_000_000, description="larger is more important")] = 0
    value: Annotated[float, Field(ge=0, le=1e9, description="what an answer in time is worth")] = (
        1.0
    )
    batch: Annotated[Batching, Field(description="what may be executed together")] = Batching()
    declared_ms: Annotated[
        Ms | None,
        Field(
            description="what its registration says an execution of one frame takes; "
            "by default the mean, and that of the largest batch"
        ),
    ] = None
    cold_ms: Annotated[
        Ms | None, Field(description="its first execution takes so long instead, ms")
    ] = None

    @property
    def prior_ms(self) -> float:
        """Return the declared time of an execution of one frame, ms."""
        return self.declared_ms or self._mean_ms(1)

    @property
    def prior_batches(self) -> tuple[tuple[int, float], ...]:
        """Return the declared time (ms) of the largest batch, unless that of one was given."""
        most = self.batch.max
        return () if self.declared_ms or most == 1 else ((most, self._mean_ms(most)),)

    def _mean_ms(self, size: int) -> float:
        return self.service_time.fixed_ms + size * self.service_time.mean_ms


class Worker(Part):
    """Bounds of the whole worker, and how strict it is."""

    queue_tasks: Annotated[
        int, Field(ge=1, le=1_000_000_000, description="bound of all queues in frames")
    ] = 100_000
    queue_ms: Annotated[
        Ms | None, Field(description="bound of all queues in predicted work, ms")
    ] = None
    expire: Annotated[
        bool, Field(description="without, what is late already is executed all the same")
    ] = True
    admit: Annotated[
        bool, Field(description="without, nobody is refused for a predicted end that is late")
    ] = True
    guard: Annotated[bool, Field(description="without, max_gap_ms is not kept")] = True


class Pauses(Part):
    """Times in which no frame comes: the last `for_ms` of each `every_ms`."""

    every_ms: Ms
    for_ms: Ms

    @model_validator(mode="after")
    def _shorter(self) -> "Pauses":
        if self.for_ms >= self.every_ms:
            raise ValueError("for_ms is less than every_ms, or nothing would ever come")
        return self

    def over(self, at: float) -> bool:
        """Say whether frames come at an instant."""
        return at % self.every_ms < self.every_ms - self.for_ms


class Scenario(File):
    """Services on one accelerator that executes one batch at a time, without preemption."""

    description: Annotated[str, Field(max_length=2_000, description="what it is meant to show")] = (
        ""
    )
    seed: Annotated[int, Field(ge=0, lt=1 << 31, description="of arrivals and service times")] = 0
    duration_ms: Annotated[
        Ms, Field(description="frames arrive before this instant; what waits is then worked off")
    ]
    order: Annotated[
        Name, Field(description="fifo, priority-edf, least-laxity, mapscore, weir or a plug-in's")
    ] = "weir"
    worker: Annotated[Worker, Field(description="bounds of the whole worker")] = Worker()
    pauses: Annotated[
        Pauses | None, Field(description="load in waves: frames due in a pause do not come")
    ] = None
    heat: Annotated[Heat | None, Field(description="how the device slows down")] = None
    thermal: Annotated[
        Thermal | None, Field(description="how the device heats up by its work, and slows down")
    ] = None
    services: Annotated[
        Listed[Service], Field(min_length=1, max_length=1_000, description="one entry for each")
    ]

    @model_validator(mode="after")
    def _can_end(self) -> "Scenario":
        frames = sum(one.arrivals.expected(self.duration_ms) for one in self.services)
        if frames > MOST_FRAMES:
            raise ValueError(
                f"about {frames:,.0f} frames would arrive, and {MOST_FRAMES:,} may; "
                "shorten duration_ms or lower the rates"
            )
        return self

    def factor(self, at: float) -> float:
        """Return how many times as long everything takes at an instant."""
        return self.heat.factor(at) if self.heat is not None else 1.0
