"""Whether an agent's turns are whole: what it reads together is told together, or cut by its end.

Readings have no ids of their own. What an agent reads in one turn it hands over in one order, so
that of a turn whose first reading stands in SQL all others must, once each; but for what was not
sent when it was killed. Nor may it say nothing for longer than its node's report holds. Pure.
"""

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

FIRST = "memory.used"
FOLLOWING = ("memory.available", "memory.total", "swap.used", "disk./.used", "disk./.free")
"""What any Linux machine tells after FIRST in the same turn."""
UNSENT_MS = 2_000
"""What was read so long before a kill, or longer, was sent: it waits for 50 ms, then for Kafka."""
SILENT_MS = 5_000


def broken_turns(
    readings: Mapping[str, Sequence[int]], kills: Sequence[int], began: int, ended: int
) -> Iterator[tuple[str, int]]:
    """Yield what is missing (negative) or doubled between two instants, ms.

    `readings` has the event times of each metric, `kills` the instants of each SIGKILL.
    """
    starts = sorted(at for at in readings.get(FIRST, ()) if began <= at)
    if not starts:
        yield f"all readings of {FIRST}", -1
        return
    counts = {name: _by_turn(starts, readings.get(name, ())) for name in FOLLOWING}
    for number, (start, end) in enumerate(itertools.pairwise(starts)):
        if start == end:
            yield f"reading of {FIRST} at {start}", 1
        elif end > ended:
            return
        elif not any(start <= kill < end + UNSENT_MS for kill in kills):
            if end - start > SILENT_MS:
                yield f"readings from {start} to {end}", -1
            for name in FOLLOWING:
                yield f"reading of {name} at {start}", counts[name][number] - 1


def _by_turn(starts: Sequence[int], times: Sequence[int]) -> Counter[int]:
    """Return how many of some instants there are in each turn, by its number."""
    return Counter(bisect_right(starts, at) - 1 for at in times)
