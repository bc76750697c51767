"""What the local actuator remembers of each node, and the words in which it tells its deeds."""

from dataclasses import dataclass, field

from placement.local.fleet import LocalNode
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken, PlacementDecided
from schemas.identity import stable_id
from schemas.records import KeyValue
from schemas.registrations import InstanceReported


@dataclass(slots=True)
class Slot:
    """One node: its worker, if any, and since when what.

    `successor` is a worker that shall take over once it is ready, `leaving` has those that were
    asked to end, and when.
    """

    node: LocalNode
    incarnation: int = 0
    worker: str = ""
    started_at: int = 0
    idle_since: int | None = None
    stop_asked: int | None = None
    killed: bool = False
    crashes: int = 0
    resting_until: int = 0
    message: str = ""
    why: str = ""
    causes: tuple[str, ...] = ()
    heartbeat_due: int = 0
    renew: bool = False
    successor: str = ""
    successor_at: int = 0
    leaving: dict[str, int] = field(default_factory=dict)

    def next_worker(self, catalogue: Catalogue) -> str:
        """Return the id of another worker: its number is higher than any before."""
        self.incarnation = max(self.incarnation, last_incarnation(self.node.name, catalogue)) + 1
        return f"{self.node.name}-{self.incarnation}"


def number_of(worker: str, node: str) -> int:
    """Return the number of a node's worker; 0 when it is none of that node."""
    head, _, number = worker.rpartition("-")
    return int(number) if head == node and number.isdecimal() else 0


def last_incarnation(node: str, catalogue: Catalogue) -> int:
    """Return the highest number of a node's worker that ever reported an instance."""
    reported = catalogue.of(InstanceReported).values()
    return max((number_of(instance.worker, node) for instance in reported), default=0)


def refused(now_ms: int, decided: PlacementDecided, policy: str, reason: str) -> ActionTaken:
    """Return the deed that a placement was not carried out, and why."""
    details = {"generation": str(decided.generation)}
    causes = (decided.event_id,)
    return action(
        now_ms, decided.service, "service.refused", "refused", reason, details, policy, causes
    )


def action(
    now_ms: int,
    target: str,
    kind: str,
    status: str,
    reason: str,
    details: dict[str, str],
    policy: str = "",
    causes: tuple[str, ...] = (),
) -> ActionTaken:
    """Return a deed; its id follows from what it is, to whom, and when."""
    return ActionTaken(
        event_id=stable_id("actuate", kind, status, target, now_ms, *details.values()),
        target=target,
        kind=kind,
        status=status,
        policy=policy,
        reason=reason,
        parameters=tuple(KeyValue(key=key, value=value) for key, value in details.items()),
        taken_at=now_ms,
        causes=causes,
    )
