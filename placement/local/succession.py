"""Workers that outlive their actuator, make room for successors, or stand still.

A node's worker is renewed without a gap: its successor starts beside it, and says nothing before
it is ready; once the catalogue shows that it serves, the old one finishes without a word.
"""

from collections.abc import Iterable, Sequence

from placement.local.fleet import (
    ForgetWorker,
    Instruction,
    KillWorker,
    ProcessView,
    RelieveWorker,
    StartWorker,
    StopWorker,
)
from placement.local.slots import Slot, number_of
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.registrations import InstanceReported, NodeReported

READY, STOPPED = "ready", "stopped"


def serving(catalogue: Catalogue, worker: str) -> set[str]:
    """Return the services of which a worker has said last that they are ready there."""
    instances = catalogue.of(InstanceReported).values()
    return {i.service for i in instances if i.worker == worker and i.health == READY}


def adopt(
    slot: Slot, views: Iterable[ProcessView], now_ms: int, catalogue: Catalogue
) -> list[Instruction]:
    """Take over workers of a node that an actuator before this one has started.

    The one that serves most is kept, the others are relieved.
    """
    known = {slot.worker, slot.successor, *slot.leaving}
    node = slot.node.name
    found = [v.worker for v in views if v.node == node and v.exit_code is None]
    strangers = sorted(
        set(found) - known,
        key=lambda worker: (len(serving(catalogue, worker)), number_of(worker, node)),
    )
    if strangers and not slot.worker:
        slot.worker, slot.started_at = strangers.pop(), now_ms
        slot.incarnation = max(number_of(worker, node) for worker in found)
    slot.leaving |= dict.fromkeys(strangers, now_ms)
    return [RelieveWorker(node, worker) for worker in strangers]


def renew(
    slot: Slot,
    wanted: Sequence[PlacementDecided],
    now_ms: int,
    catalogue: Catalogue,
    patience_ms: int,
) -> list[Instruction]:
    """Take the next step of a renewal that was asked for; `wanted` is what is placed there."""
    node = slot.node.name
    if not slot.successor:
        if not slot.renew:
            return []
        slot.renew = False
        slot.why, slot.causes = f"{slot.worker} is renewed", ()
        slot.successor, slot.successor_at = slot.next_worker(catalogue), now_ms
        return [StartWorker(node, slot.successor, succeeds=True)]
    if {decided.service for decided in wanted} <= serving(catalogue, slot.successor):
        old, slot.worker, slot.successor = slot.worker, slot.successor, ""
        slot.started_at, slot.leaving[old] = now_ms, now_ms
        slot.why, slot.causes = f"{slot.worker} serves in its place", ()
        return [RelieveWorker(node, old)]
    if now_ms - slot.successor_at >= patience_ms:
        return abandon(slot, now_ms)
    return []


def abandon(slot: Slot, now_ms: int) -> list[Instruction]:
    """Give a renewal up: its successor ends."""
    slot.renew = False
    if not slot.successor:
        return []
    late, slot.successor = slot.successor, ""
    slot.leaving[late] = now_ms
    slot.why, slot.causes = "it shall not succeed any more", ()
    return [StopWorker(slot.node.name, late)]


def see_off(
    slot: Slot, views: Iterable[ProcessView], now_ms: int, grace_ms: int
) -> list[Instruction]:
    """Forget those that have ended after they were asked, and kill those that take too long."""
    node = slot.node.name
    alive = {view.worker: view.exit_code is None for view in views}
    if slot.successor and not alive.get(slot.successor):
        slot.leaving[slot.successor], slot.successor = now_ms, ""
    done: list[Instruction] = []
    for worker, asked in list(slot.leaving.items()):
        if not alive.get(worker):
            del slot.leaving[worker]
            done += [ForgetWorker(node, worker)] if worker in alive else []
        elif now_ms - asked >= grace_ms:
            slot.leaving[worker] = now_ms
            slot.why, slot.causes = "it did not end when it was asked", ()
            done.append(KillWorker(node, worker))
    return done


def silent_ms(slot: Slot, catalogue: Catalogue, now_ms: int) -> int:
    """Return how long a worker's heartbeats are overdue; 0 when they are not, or nobody can tell.

    The log is known to be heard when the node's own heartbeat, which the actuator sends, has come
    back and counts.
    """
    own = catalogue.get(NodeReported, slot.node.name)
    reports = catalogue.of(InstanceReported).values()
    heard = [i for i in reports if i.worker == slot.worker and i.health != STOPPED]
    if own is None or own.expires_at <= now_ms or not heard:
        return 0
    return max(0, now_ms - max(instance.expires_at for instance in heard))
