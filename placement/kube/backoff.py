"""How long to wait before the next try. Pure: chance is an argument."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling delays in seconds, from `first` to at most `longest`, with full jitter.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. Jitter takes no more
    than half away, so that a server that is short of breath gets some rest.
    """

    first_s: float = 0.1
    longest_s: float = 30.0

    def delay_s(self, failures: int, chance: float, asked_s: float | None = None) -> float:
        """Return the wait after `failures` (1 or more) in a row; `chance` is in 0 to 1.

        What the server asked for (Retry-After) is a lower bound: many clients that come back in
        the same moment would find it as busy as before.
        """
        grown = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        jittered = grown * (0.5 + 0.5 * chance)
        return jittered if asked_s is None else asked_s + jittered
