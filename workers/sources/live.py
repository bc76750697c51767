"""Sources that give frames when they have them, ready or not."""

from dataclasses import dataclass
from typing import Protocol

from workers.sources.forms import Frame


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame that came at `at_ms` (since the epoch); `request_id` when it was promised one."""

    frame: Frame
    at_ms: int
    request_id: str = ""


class LiveSource(Protocol):
    """Frames as they come; `left_out` are those that nobody took before newer ones came."""

    kind: str
    left_out: int

    def take(self, timeout_s: float) -> Captured | None:
        """Return the next frame; None when none comes within `timeout_s`.

        Raises UnusableSource, SourceLost.
        """
        ...
