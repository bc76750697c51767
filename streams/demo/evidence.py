"""When the demonstration has seen enough: what answers the corruption has served and was judged."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from streams.demo import queries
from streams.demo.summary import phases, served
from streams.demo.traffic import Plan, Traffic
from workers.errors import WorkerError

LOOK_S = 0.5
JUDGED_SHARE = 0.1
"""Of the requests planned so many are to be judged under what was selected last."""


@contextmanager
def watched(plan: Plan, traffic: Traffic, ask: queries.Ask) -> Iterator[threading.Event]:
    """Give an event that is set when enough is known; at once when nothing is corrupted.

    It is asked of SQL, in a thread of its own, from when the planned time is over.
    """
    enough, over = threading.Event(), threading.Event()
    if plan.corrupt_after is None:
        enough.set()
        yield enough
        return

    def watch() -> None:
        wait = plan.seconds
        while not (enough.is_set() or over.wait(wait)):
            wait = LOOK_S
            with suppress(WorkerError):
                if judged(ask, plan.app, traffic.corrupted_at) >= needed(plan):
                    enough.set()

    thread = threading.Thread(target=watch, name="evidence", daemon=True)
    thread.start()
    try:
        yield enough
    finally:
        over.set()
        thread.join()


def needed(plan: Plan) -> int:
    """Return how many judged answers are enough."""
    return max(1, round(plan.rate * plan.seconds * JUDGED_SHARE))


def judged(ask: queries.Ask, app: str, corrupted_at: int | None) -> int:
    """Return how many labelled answers the ensemble has given that answers the corruption.

    None before the corruption, while candidates are tried, and as long as nothing was selected
    since the corruption: 0 then.
    """
    found = queries.selections(ask, app)
    if corrupted_at is None or not found or found[-1].shadows or found[-1].at < corrupted_at:
        return 0
    since = phases(found, corrupted_at).last_switch or found[-1].generation
    answers = served(ask(queries.ANSWERS, {"app": app}), since)
    return sum(row["labelled"] for row in answers)
