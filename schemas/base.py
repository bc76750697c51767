"""What every event has in common."""

from typing import Annotated

from schemas.making import quicken

Timestamp = Annotated[int, "timestamp-millis"]
"""Milliseconds since the epoch, UTC; an Avro long with logical type timestamp-millis."""


class Event:
    """Base of every record that may stand on a topic; subclasses are frozen dataclasses.

    Their fields have plain defaults, no factories, and nothing is done after `__init__`.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """Make instances quicker to create, once `dataclass` has given the class its slots."""
        super().__init_subclass__()
        if "__slots__" in cls.__dict__:
            quicken(cls)
