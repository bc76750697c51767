"""The actuator for Kubernetes, and place, with the log in memory between them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from placement.authority import Limits
from schemas.base import Event
from schemas.decisions import DeploymentObserved, PlacementRequested, ServiceDemand
from schemas.registrations import PolicySelected
from streams import topology
from streams.actuating.kube import KubeDeeds
from tests.kube.services import T0
from workers.clock import wall_ms
from workers.local import LocalHost, LocalLog
from workers.settings import KubeSettings, Settings

E = TypeVar("E", bound=Event)
LIMITS = Limits(registries=("*",))
LIMIT_S = 20.0


def acting() -> PolicySelected:
    """Return the policy that lets decisions be carried out."""
    return PolicySelected(
        scope="installation",
        component="",
        algorithm="",
        mode="act",
        selected_at=T0,
        event_id="act",
    )


def request(name: str, replicas: int) -> PlacementRequested:
    """Return the demand for so many copies of a service."""
    now = wall_ms()
    return PlacementRequested(
        event_id=f"request-{name}-{replicas}-{now}",
        kind="service.registered",
        subject=name,
        app="digits",
        demands=(ServiceDemand(service=name, replicas=replicas),),
        reason="a test asks for it",
        requested_at=now,
    )


class Driven:
    """An actuator that reads and writes a log in memory; a context manager.

    With `placing` the processor place reads and writes the same log.
    """

    def __init__(
        self,
        kubeconfig: Path | str,
        namespace: str,
        log: LocalLog | None = None,
        *,
        placing: bool = False,
        **kube: object,
    ) -> None:
        fields = {"kubeconfig": str(kubeconfig), "namespace": namespace} | kube
        self.log = log or LocalLog(now_ms=wall_ms())
        self._deeds = KubeDeeds(Settings(kube=KubeSettings(**fields)), LIMITS, lambda: None)
        self._host = LocalHost([topology.spec_named("place")], self.log) if placing else None
        self.told: list[Event] = []

    def tell(self, *events: Event) -> None:
        """Write events."""
        self.log.produce(*events)

    def turn(self) -> None:
        """Let everybody do once what there is to do now."""
        if self._host is not None:
            self._host.run_until_idle(wall_ms())
        self.log.now_ms = wall_ms()
        events = self._deeds.step(wall_ms, self.log.catalogue())
        self.told += events
        self.log.produce(*events)

    def until(self, done: Callable[[], object], limit_s: float = LIMIT_S) -> None:
        """Go on until it is so; what was told is shown where it does not come about."""
        deadline = time.monotonic() + limit_s
        while not done():
            assert time.monotonic() < deadline, [str(event) for event in self.told[-5:]]
            self.turn()
            time.sleep(0.02)

    def last(self, kind: type[E], service: str) -> E | None:
        """Return the newest that was told of a service, of a kind."""
        return next((e for e in reversed(self.heard(kind)) if _subject(e) == service), None)

    def phase(self, service: str) -> str:
        """Return the phase of a service that was told last, empty when none was."""
        seen = self.last(DeploymentObserved, service)
        return "" if seen is None else seen.phase

    def heard(self, kind: type[E]) -> list[E]:
        """Return all that was told, of a kind."""
        return [event for event in self.told if isinstance(event, kind)]

    def __enter__(self) -> "Driven":
        return self

    def __exit__(self, *_: object) -> None:
        self._deeds.close()


def _subject(event: Event) -> str:
    for name in ("service", "target", "node"):
        if hasattr(event, name):
            return str(getattr(event, name))
    return ""
