"""What scenarios and runs say of a service in the same words. Pure."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from workers.simulation.arrivals import Arrivals
from workers.simulation.fields import Listed, Ms, Part

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Whole = Annotated[int, Field(ge=1, le=1_000_000)]


class Queue(Part):
    """Where work of a service waits."""

    tasks: Annotated[Whole, Field(description="bound in frames")] = 64
    work_ms: Annotated[Ms | None, Field(description="bound in predicted work, ms")] = None
    drop: Annotated[
        Literal["oldest", "newest", "lowest-priority", "replace-by-key"],
        Field(
            description="which frame goes when the queue is full; replace-by-key: a new frame "
            "replaces the waiting one of its key at once, and the oldest goes when it is full"
        ),
    ] = "oldest"
    max_age_ms: Annotated[
        Ms | None, Field(description="a frame that has waited for longer is expired, ms")
    ] = None


class Batching(Part):
    """What may be executed together."""

    max: Annotated[Whole, Field(description="most frames of a batch")] = 1
    preferred: Annotated[Listed[Whole], Field(description="sizes that execute well")] = ()

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.preferred and max(self.preferred) > self.max:
            raise ValueError("preferred sizes are at most max")
        return self


class Serving(Part):
    """A service, when its work comes and where that waits."""

    name: Annotated[Name, Field(description="letters, digits, '.', '_', '-'; unique")]
    budget_ms: Annotated[Ms, Field(description="an answer is in time this long after arrival, ms")]
    arrivals: Annotated[Arrivals, Field(description="when its frames come")]
    keys: Annotated[
        Whole, Field(description="frames take turns in so many keys, such as cameras")
    ] = 1
    queue: Annotated[Queue, Field(description="its bounds and what they drop")] = Queue()
    max_gap_ms: Annotated[
        Ms | None,
        Field(description="longest time without service while it has work that could be in time"),
    ] = None
    period_ms: Annotated[
        Ms | None, Field(description="what its registration says of the time between frames, ms")
    ] = None


class File(Part):
    """What a file holds: services that share a device."""

    version: Annotated[Literal[1], Field(description="of this format")] = 1
    name: Annotated[Name, Field(description="what it is called in reports")]
    services: Listed[Serving]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [service.name for service in self.services]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two services are called {twice[0]!r}; give each a name of its own")
        return self
