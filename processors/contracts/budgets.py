"""Error budgets: how much of a clause's period was broken, exactly, in a bounded ring of buckets.

The period is cut into at most `BUCKETS` buckets of equal length that begin at multiples of it, so
that counting is exact and a bucket leaves as a whole. What is counted at an instant is what ended
in its bucket and in those before that make up the period together with it.

With an objective of `o` the budget is the share `1 - o` of the period. Each judgement stands for
the time since the one before it, at most the span that it looked at; that time is spent when the
clause was broken. `left` is the share of the budget that is not spent: 1 when nothing was broken,
0 when exactly as much was broken as may be, negative beyond. Time without a judgement spends
nothing: nobody knows; the standing says so.

Source: B. Beyer et al., The Site Reliability Workbook, O'Reilly 2018, chapter 2 (rolling windows).
"""

from dataclasses import dataclass

BUCKETS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The judgements that ended in one bucket: how many, how many held, ms that were broken."""

    number: int
    judged: int
    held: int
    broken_ms: int


@dataclass(frozen=True, slots=True)
class Account:
    """What the buckets of a period come to."""

    judged: int
    held: int
    broken_ms: int

    @property
    def share(self) -> float:
        """Return the share of the judgements that held; 1 without any."""
        return self.held / self.judged if self.judged else 1.0

    def left(self, objective: float, period_ms: int) -> float | None:
        """Return the share of the error budget that is left; None without an objective."""
        if not objective:
            return None
        return 1.0 - self.broken_ms / (period_ms - objective * period_ms)


def entered(
    ring: tuple[Bucket, ...], end: int, ms: int, *, held: bool, period_ms: int
) -> tuple[Bucket, ...]:
    """Return a ring with one more judgement, which stands for `ms` before `end`.

    It never holds more than `BUCKETS` buckets. A judgement older than the newest is entered into
    the newest bucket, since judgements come in the order of their ends.
    """
    number = max(end // _length(period_ms), ring[-1].number if ring else 0)
    last = Bucket(number=number, judged=0, held=0, broken_ms=0)
    if ring and ring[-1].number == number:
        ring, last = ring[:-1], ring[-1]
    added = Bucket(
        number=number,
        judged=last.judged + 1,
        held=last.held + held,
        broken_ms=last.broken_ms + (0 if held else ms),
    )
    kept = tuple(one for one in ring if one.number > number - _most(period_ms))
    return (*kept, added)


def account(ring: tuple[Bucket, ...], at_ms: int, period_ms: int) -> Account:
    """Return what was judged within the period that ends with the bucket of an instant."""
    oldest = at_ms // _length(period_ms) - _most(period_ms)
    inside = [one for one in ring if one.number > oldest]
    return Account(
        sum(one.judged for one in inside),
        sum(one.held for one in inside),
        sum(one.broken_ms for one in inside),
    )


def _length(period_ms: int) -> int:
    return -(-period_ms // BUCKETS)


def _most(period_ms: int) -> int:
    """Return how many buckets make up a period."""
    return -(-period_ms // _length(period_ms))
