"""Are there messages that were refused, and that nobody has looked after?"""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass

from streams.doctor.findings import Finding, ok, span, warn
from streams.doctor.installation import Site
from workers.letters import OPEN, Case
from workers.registry import Registry
from workers.retrying import read_cases

SHOWN = 5
TOPICS = frozenset({"weir.deadletters", "weir.actions"})


@dataclass(frozen=True, slots=True)
class Facts:
    """Every case, and the time, ms."""

    cases: tuple[Case, ...]
    now_ms: int


def gather(site: Site) -> Facts:
    """Read them; none without their topics. Raises KafkaUnavailable, RegistryUnavailable."""
    if TOPICS - site.cluster().topics.keys():
        return Facts((), site.now_ms())
    with closing(Registry(site.settings.registry)) as registry:
        found = read_cases(site.settings.kafka, registry.codec())
    return Facts(tuple(found), site.now_ms())


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say: the commonest kinds of open cases."""
    waiting = [case for case in facts.cases if case.state == OPEN]
    if not waiting:
        return [ok("dead letters", f"none is open; {len(facts.cases)} in all")]
    kinds = Counter((case.letter.topic, case.letter.error) for case in waiting)
    found = [
        _kind(topic, error, [c for c in waiting if _is(c, topic, error)], facts.now_ms)
        for (topic, error), _ in kinds.most_common(SHOWN)
    ]
    if len(kinds) > SHOWN:
        told = f"{len(kinds) - SHOWN} more kinds of refusal"
        found.append(warn("others", told, "", "weir deadletters list"))
    return found


def _is(case: Case, topic: str, error: str) -> bool:
    return (case.letter.topic, case.letter.error) == (topic, error)


def _kind(topic: str, error: str, cases: list[Case], now_ms: int) -> Finding:
    newest = max(cases, key=lambda case: case.letter.detected_at).letter
    ago = span(now_ms - newest.detected_at)
    told = f"{len(cases)} messages were refused as {error}, the last {ago} ago"
    mend = (
        f"weir deadletters show {newest.event_id[:12]}; mend the producer, then weir deadletters "
    )
    return warn(topic, told, newest.message, mend + f"retry|discard --topic {topic} --kind {error}")
