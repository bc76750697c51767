"""Combiners of others: what installed distributions name under `weir.combiners`.

An entry is a function from votes and the weight of all members to a verdict; see
`processors.routing.votes`. Its name is what applications, stages and selections call it by. The
names of Weir's own combiners stay theirs.
"""

import math
from collections.abc import Sequence
from importlib.metadata import EntryPoint

from processors.routing.votes import COMBINERS, GROUP, Combiner, CombinerFailed, Verdict, Vote
from workers import plugin_points
from workers.plugin_points import Unusable


def installed() -> dict[str, Combiner]:
    """Return combiners of others by name; those that cannot be had are logged and left out."""
    return plugin_points.installed(GROUP, objection, made)


def objection(name: str) -> str:
    """Return why a combiner of others cannot have a name; empty when it can."""
    return "it has the name of one of Weir's own" if name in COMBINERS else ""


def made(point: EntryPoint) -> Combiner:
    """Return a combiner, guarded: it raises nothing but CombinerFailed. Raises Unusable."""
    function = point.load()
    if not callable(function):
        raise Unusable(f"{point.value} is no function")

    def guarded(votes: Sequence[Vote], total: float) -> Verdict:
        try:
            verdict = function(votes, total)
        except (Exception, SystemExit) as error:
            raise CombinerFailed(f"{point.name}: {type(error).__name__}: {error}") from error
        if why := unusable(verdict):
            raise CombinerFailed(f"{point.name}: {why}")
        return verdict  # type: ignore[no-any-return]  # looked at just now

    return guarded


def unusable(verdict: object) -> str:
    """Return why something is no verdict, or ''."""
    if not isinstance(verdict, Verdict):
        return f"it returned a {type(verdict).__name__}, which is no Verdict"
    if not isinstance(verdict.label, str):
        return f"its label is a {type(verdict.label).__name__}"
    sure = verdict.confidence
    if not (isinstance(sure, int | float) and 0 <= sure <= 1):
        return f"its confidence is {sure}; it must be from 0 to 1"
    if len(verdict.scores) != len(verdict.classes) or not all(map(math.isfinite, verdict.scores)):
        return "its scores are not one finite number for each of its classes"
    return ""


_CLASSES = ("cat", "dog", "owl")


def sample_votes() -> list[list[Vote]]:
    """Return the votes with which laws are tried: one, ties, members without scores."""
    sure, torn, bare = (0.8, 0.1, 0.1), (0.4, 0.35, 0.25), ()
    return [
        [Vote(1.0, "cat", 0.8, sure, _CLASSES)],
        [Vote(1.0, "cat", 0.8, sure, _CLASSES), Vote(1.0, "dog", None, bare, ())],
        [
            Vote(2.0, "cat", 0.4, torn, _CLASSES, {"cat": 0.5, "dog": 3.0}),
            Vote(0.0, "owl", 1.0, bare, ()),
            Vote(1.5, "dog", 0.9, bare, (), {"dog": 1.0}),
        ],
    ]


def broken_laws(combiner: Combiner) -> list[str]:
    """Return the laws that a combiner breaks. What it raises comes through."""
    told: dict[str, None] = {}
    for votes in sample_votes():
        total = 1.0 + sum(vote.weight for vote in votes)
        handed = list(votes)
        verdict = combiner(handed, total)
        if handed != votes:
            told["it changed the votes that it was given"] = None
        if combiner(list(votes), total) != verdict:
            told["the same votes gave another verdict: it depends on more than these"] = None
        known = {vote.label for vote in votes}.union(*(vote.classes for vote in votes))
        if verdict.label not in known:
            told[f"it answered {verdict.label!r}, which nobody knows of"] = None
    return list(told)
