"""What the gateway needs of who changes the catalogue; `streams.controlling` is that. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be done with a noun: method and path below /v1, and what it does."""

    method: str
    path: str
    name: str
    help: str


@dataclass(frozen=True, slots=True)
class Order:
    """What an administrator asks: a verb on a noun, perhaps of a name, with a body."""

    noun: str
    verb: str
    name: str
    body: Mapping[str, Any]
    by: str


class Control(Protocol):
    """Carries orders out; called from threads."""

    def verbs(self) -> tuple[tuple[str, Verb], ...]:
        """Return every noun with every verb that it has."""
        ...

    def do(self, order: Order) -> tuple[int, Any]:
        """Return the status of HTTP and what to answer. Raises Refusal."""
        ...


class NoControl:
    """Nothing can be changed here."""

    def verbs(self) -> tuple[tuple[str, Verb], ...]:
        """Return nothing."""
        return ()

    def do(self, order: Order) -> tuple[int, Any]:
        """Is never called: there are no verbs."""
        raise LookupError(order.verb)
