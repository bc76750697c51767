"""What topics there are, asked until the answer can be believed."""

import time
from collections.abc import Callable, Collection

PATIENCE_S = 5.0
AGAIN_S = 0.1


def believed(
    ask: Callable[[], dict[str, int]], needed: Collection[str], patience_s: float = PATIENCE_S
) -> dict[str, int]:
    """Return what `ask` says of topics; it is asked again while one that is needed is not in it.

    A broker that has just begun, or has not yet heard of a change, leaves topics out that exist
    (KAFKA-15780 has the order in which a broker hears). One counts as missing only when it was
    in no answer for `patience_s`.
    """
    until = time.monotonic() + patience_s
    while True:
        found = ask()
        if found.keys() >= set(needed) or time.monotonic() >= until:
            return found
        time.sleep(AGAIN_S)
