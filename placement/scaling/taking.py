"""What copies are seen to take, beside what their service declares. Pure.

Said as a policy `takes/<service>`, which place follows: so a service that declares too little does
not over-pack its nodes, and everybody can see what is reckoned with. The figure rises at once, in
quarters of a doubling, and falls only after a while; it stands as long as nobody runs a copy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, log2
from typing import ClassVar

from placement.cluster.described import CPU, MEMORY, needs_of, taken_of
from schemas.authority import TAKES
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.identity import stable_id
from schemas.records import KeyValue
from schemas.registrations import PolicySelected, ServiceRegistered
from schemas.working import InstanceUse, WorkerReported

ALGORITHM = "observed"
STEPS = 4
"""Figures are told in so many steps from one to its double."""
LEAST: Mapping[str, int] = {CPU: 250, MEMORY: 256}
"""Who declares less may be seen to take `most` times as much as this, at most."""
_DAY_MS = 86_400_000
_RUNNING = "running"


@dataclass(frozen=True, slots=True)
class TakePolicy:
    """Parameters `observed.<name>` of the policy for `place`.

    - `memory` (0 or 1, default 1): whether memory that copies hold beyond what is declared counts
    - `cpu` (0 or 1, default 0): the same of CPU; without it nothing but slowness follows
    - `most` (1 to 100, default 4): at most so many times what is declared is reckoned with
    - `tolerance` (share, 0 to 10, default 0.1): by less nothing changes
    - `up_ms` (ms, 0 to a day, default 60000): after a change it rises no sooner
    - `down_ms` (ms, 0 to a day, default 600000): after a change it falls no sooner
    """

    memory: int = 1
    cpu: int = 0
    most: float = 4.0
    tolerance: float = 0.1
    up_ms: int = 60_000
    down_ms: int = 600_000

    PREFIX: ClassVar[str] = "observed"
    LIMITS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "memory": (0, 1),
        "cpu": (0, 1),
        "most": (1.0, 100.0),
        "tolerance": (0.0, 10.0),
        "up_ms": (0, _DAY_MS),
        "down_ms": (0, _DAY_MS),
    }

    def counts(self, what: str) -> bool:
        """Return whether one of CPU and MEMORY is corrected."""
        return bool(self.memory if what == MEMORY else self.cpu)


def uses_of(catalogue: Catalogue, now_ms: int) -> dict[str, list[InstanceUse]]:
    """Return by service what instances take, as workers say that live."""
    found: dict[str, list[InstanceUse]] = {}
    for report in catalogue.of(WorkerReported).values():
        if report.status == _RUNNING and report.expires_at > now_ms:
            for use in report.uses:
                found.setdefault(use.service, []).append(use)
    return found


def correction(
    service: ServiceRegistered,
    uses: Iterable[InstanceUse],
    catalogue: Catalogue,
    policy: TakePolicy,
    now_ms: int,
) -> PolicySelected | None:
    """Return what is to be reckoned with from now on; None where that stays as it is."""
    name = service.service
    before = catalogue.get(PolicySelected, f"{TAKES}{name}")
    decided = catalogue.get(PlacementDecided, name)
    if decided is None:
        return None
    variants = {one.instance: one.variant for one in decided.assignments}
    since = now_ms if before is None else now_ms - before.selected_at
    told: dict[str, int] = {}
    known: dict[str, int] = {}
    for option in needs_of(service):
        mine = [use for use in uses if variants.get(use.instance) == option.variant]
        for what, declared in ((CPU, option.need.cpu_milli), (MEMORY, option.need.memory_mib)):
            key = f"{what}/{option.variant}"
            last = max(declared, 0 if before is None else taken_of(before, what, option.variant))
            known[key] = told[key] = last
            if not policy.counts(what):
                told[key] = declared
            elif mine:
                seen = max(_seen(use, what) for use in mine)
                most = int(policy.most * max(declared, LEAST[what]))
                figure = max(declared, min(stepped(seen), most))
                told[key] = _settled(last, seen, figure, policy, since, fresh=before is None)
    if told == known:
        return None
    return _policy(name, told, before, now_ms)


def stepped(amount: int) -> int:
    """Return an amount rounded up to the next quarter of a doubling; 0 stays 0."""
    return ceil(2.0 ** (ceil(log2(amount) * STEPS - 1e-9) / STEPS) - 1e-9) if amount > 0 else 0


def _seen(use: InstanceUse, what: str) -> int:
    return min(use.memory_mib if what == MEMORY else use.cpu_milli, 1 << 40)


def _settled(
    last: int, seen: int, figure: int, policy: TakePolicy, since_ms: int, *, fresh: bool
) -> int:
    """Return the figure from now on: the last one where it is near, or too fresh to be changed."""
    if figure > last and seen > last * (1.0 + policy.tolerance):
        return figure if fresh or since_ms >= policy.up_ms else last
    if figure < last and figure * (1.0 + policy.tolerance) < last:
        return figure if since_ms >= policy.down_ms else last
    return last


def _policy(
    service: str, told: Mapping[str, int], before: PolicySelected | None, now_ms: int
) -> PolicySelected:
    known = "" if before is None else before.event_id
    return PolicySelected(
        scope=f"{TAKES}{service}",
        component="place",
        algorithm=ALGORITHM,
        parameters=tuple(KeyValue(key=key, value=str(value)) for key, value in told.items()),
        mode="act",
        selected_at=now_ms,
        event_id=stable_id("takes", service, known, repr(sorted(told.items()))),
    )
