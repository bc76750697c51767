"""What logs and spans of OpenTelemetry have in common: each is judged, and taken or not. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from schemas.base import Event
from workers.intake.naming import Who
from workers.intake.otlp_values import Source, texts
from workers.intake.translated import NAMELESS, Translated

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Told(Generic[R]):
    """A record, whom it is about, its attributes as text, and the name of its scope."""

    record: R
    about: Who
    attributes: dict[str, str]
    scope: str


def taken(
    found: Iterable[tuple[Source, str, Any]], judge: Callable[[Told[Any]], Event | str | None]
) -> Translated:
    """Return the events of records, each given with its resource and the name of its scope.

    `judge` makes an event of a record, says why it is refused, or None when it is sampled out.
    """
    out = Translated()
    for source, scope, record in found:
        attributes = texts(record.attributes)
        about = source.who_of(attributes)
        made = NAMELESS if about is None else judge(Told(record, about, attributes, scope))
        if made is None:
            out.passed["sampled out"] += 1
        elif isinstance(made, str):
            out.refused[made] += 1
        else:
            out.events.append(made)
    return out
