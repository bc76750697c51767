"""The numbers of select."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SelectParams:
    """Times in ms. See DESIGN: a trial ends when every candidate has `trial_min` judged results.

    A candidate that has served for `trial_ms` is known by a third of them, and one that has served
    for `trial_most_ms` by what there is; whoever has not served after `serve_ms` of the trial is
    left out. A selection that
    gains less than `min_gain` in score changes nothing. After a trial, the next one waits
    `cooldown_ms`, twice as long after each that changed nothing. The catalogue is looked at every
    `look_ms` and must have been quiet for `settle_ms`. While a member has no ready instance, which
    placement mends, nothing is tried for `patience_ms`, nor for `recovery_ms` after it is back.
    `windows` bounds what is kept per series. An algorithm that explores selects again every
    `explore_ms` in which something was observed.
    """

    trial_min: int = 60
    trial_ms: int = 8000
    trial_most_ms: int = 60_000
    serve_ms: int = 60_000
    min_gain: float = 0.02
    cooldown_ms: int = 20_000
    settle_ms: int = 1000
    look_ms: int = 500
    recovery_ms: int = 5000
    patience_ms: int = 30_000
    windows: int = 30
    explore_ms: int = 30_000

    @property
    def known(self) -> int:
        """Return the judged results from which on a candidate counts as known."""
        return max(1, self.trial_min // 3)

    def judged(self, count: int, served_ms: int) -> bool:
        """Return whether so many judged results do after so much time of serving, ms."""
        return (
            count >= self.trial_min
            or served_ms >= self.trial_most_ms
            or (count >= self.known and served_ms >= self.trial_ms)
        )
