"""What every event has in common."""

from typing import Annotated

Timestamp = Annotated[int, "timestamp-millis"]
"""Milliseconds since the epoch, UTC; an Avro long with logical type timestamp-millis."""


class Event:
    """Base of every record that may stand on a topic; subclasses are frozen dataclasses."""

    __slots__ = ()
