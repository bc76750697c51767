"""What scale remembers, as Avro-compatible dataclasses; a snapshot is a `ScaleState`."""

from dataclasses import dataclass

NOTHING = -1
"""No number of copies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadWindow:
    """The newest window of an instance: its end (ms), and the share of it that it executed."""

    instance: str
    end: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Copies that were called for at an instant (ms)."""

    at: int
    copies: int


@dataclass(slots=True, kw_only=True)
class ServiceLoad:
    """One service that is scaled.

    `active` is the end of its newest window with results (ms); `copies` were decided on, `asked`
    for since then; `changed` tells when that was (ms), `started` since when there are any.
    """

    service: str
    windows: tuple[LoadWindow, ...] = ()
    calls: tuple[Call, ...] = ()
    active: int = 0
    copies: int = 0
    asked: int = NOTHING
    changed: int = 0
    started: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A clause that is violated: `<contract>/<clause>`, the event that said so, who is to blame."""

    clause: str
    cause: str
    services: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class AppLoad:
    """One application: when it was last asked (ms), what is violated, its services by name."""

    app: str
    active: int = 0
    cause: str = ""
    broken: tuple[Broken, ...] = ()
    services: tuple[ServiceLoad, ...] = ()

    def service(self, name: str) -> ServiceLoad:
        """Return what is known of a service; nothing is known of a new one."""
        for known in self.services:
            if known.service == name:
                return known
        fresh = ServiceLoad(service=name)
        self.services = tuple(sorted((*self.services, fresh), key=lambda s: s.service))
        return fresh


@dataclass(slots=True, kw_only=True)
class ScaleState:
    """Everything: applications by name, policies that were refused, the next look (ms)."""

    next_look: int = 0
    refused: tuple[str, ...] = ()
    apps: tuple[AppLoad, ...] = ()
