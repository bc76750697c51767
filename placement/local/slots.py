"""What the local actuator remembers of each node."""

from dataclasses import dataclass, field

from placement.local.bounds import Bounds
from placement.local.fleet import LocalNode
from schemas.catalogue import Catalogue
from schemas.registrations import InstanceReported


@dataclass(slots=True)
class Slot:
    """One node: its worker, if any, and since when what.

    `successor` is a worker that shall take over once it is ready, `leaving` has those that were
    asked to end, and when. `bound` is what worker is held to what.
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
    bound: tuple[str, Bounds] | None = None

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
