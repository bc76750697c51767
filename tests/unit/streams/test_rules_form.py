"""Files of rules, silences, and what is raised: read, checked, told with the place."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from processors.rules.meaning import words
from schemas.observing import QualityEvaluated
from schemas.quality import RuleDefined
from streams import toml
from streams.errors import RegistrationError
from streams.forms import rules, silences
from streams.forms.rules import check, read, unknown_metrics
from streams.raised import raised
from tests.examples import example

NOW = 1_700_000_000_000


def guide() -> dict[str, Any]:
    """Return the file that the module shows, as its reader takes it."""
    text = rules.__doc__ or ""
    shown = text[text.index('    app = "fraud"') : text.index("The kind follows")]
    return toml.parsed("\n".join(line.removeprefix("    ") for line in shown.splitlines()))


def test_the_file_that_is_shown_is_taken() -> None:
    found = read(guide(), NOW)
    assert check(found, {}, {}, ()) == [
        "rule slow depends on node-down, which is not defined: that has no effect"
    ]
    assert {one.name: words(one) for one in found} == {
        "slow": "p95 of latency > 200",
        "queue-grows": "change of mean of queue_depth in 60 s > 50",
        "failing": "mean of errors / mean of requests > 0.1",
        "silent": "latency absent for 30 s",
        "slo": "burn of 0.999, bad is latency > 200",
    }
    slow = found[0]
    assert (slow.clear_threshold, slow.critical_after_ms, slow.for_windows) == (180.0, 600_000, 3)
    assert {one.app for one in found} == {"fraud"}
    again = read(guide(), NOW + 5)
    assert [one.event_id for one in again] == [one.event_id for one in found]


@pytest.mark.parametrize(
    ("plain", "why"),
    [
        ({"when": "latency is high"}, "rule r: when is 'latency is high'; write metric"),
        ({"when": "latency > many"}, "rule r: when is 'latency > many'"),
        ({"when": "latency > 1", "colour": 3}, "rule r has no 'colour'; it may have name, app"),
        ({"when": "latency > 1", "metric": "x"}, "rule r has both metric and when"),
        ({"when": "latency > 1", "over": 5}, "rule r: over is 5; write a time such as"),
        ({"when": "q > 1", "over": "5s", "absent": "5s"}, "rule r has both over and absent"),
        ({"when": "latency > 1", "for": "often"}, "rule r: for_windows must be a whole number"),
        ({"metric": "x"}, "rule r: statistic '' is unknown"),
        ({"when": "latency > 1", "clear": 2}, "rule r: clear_threshold is 2; with > it must be at"),
        ({"name": "r x", "when": "latency > 1"}, "rule name 'r x': use up to 63 letters"),
    ],
)
def test_what_is_wrong_is_told_with_the_place(plain: Mapping[str, Any], why: str) -> None:
    with pytest.raises(RegistrationError) as refused:
        check(read({"rules": [{"name": "r", **plain}]}, NOW), {}, {}, ())
    assert why in str(refused.value)


def test_rules_are_checked_together_with_those_that_stand() -> None:
    one, other = (
        read({"rules": [{"name": name, "when": "a > 1", "depends_on": [on]}]}, NOW)[0]
        for name, on in (("a", "b"), ("b", "a"))
    )
    standing: dict[str, RuleDefined] = {"b": other}
    with pytest.raises(RegistrationError, match="rule a: depends_on runs in a circle: a → b → a"):
        check([one], standing, {}, ())
    with pytest.raises(RegistrationError, match="a is the name of a window; choose another"):
        check([one], {}, {"a": "window"}, ())
    with pytest.raises(RegistrationError, match=r"the file has no \[\[rules\]\]"):
        read({"app": "x"}, NOW)


def test_a_metric_that_nobody_is_known_to_report_is_told_once_for_each_rule() -> None:
    wanted = read(guide(), NOW)
    told = [warning.split("; ")[0] for warning in unknown_metrics(wanted, ["errors"])]
    assert told == [
        f"rule {name}: nobody declares {metric!r}, and Weir reports none of that name"
        for name, metric in (("queue-grows", "queue_depth"), ("failing", "requests"))
    ]


def test_a_silence_begins_and_ends() -> None:
    one = silences.made("s", {"node": "n"}, "2h", "0s", "disk", "me", NOW)
    assert (one.starts_at, one.ends_at, one.node) == (NOW, NOW + 7_200_000, "n")
    over = silences.ended(one, NOW + 5)
    assert (over.ends_at, over.event_id != one.event_id) == (NOW + 5, True)
    assert silences.ended(over, NOW + 9) is over
    for change, why in (
        ({"name": "a b"}, "use up to 63"),
        ({"lasting": "long"}, "--for is 'long'"),
        ({"lasting": "0s"}, "it must be longer"),
        ({"reason": " "}, "say why"),
        ({"scope": {"tier": "four"}}, "tier 'four' is unknown"),
    ):
        told: dict[str, Any] = {
            "name": "s",
            "scope": {},
            "lasting": "1h",
            "begin": "0s",
            "reason": "r",
            "owner": "",
            "now_ms": NOW,
        }
        with pytest.raises(RegistrationError, match=why):
            silences.made(**told | change)


def test_what_is_raised_is_told_the_worst_first() -> None:
    bad = replace(
        example(QualityEvaluated),
        verdict="degraded",
        severity="warning",
        tier="rules",
        spell="1",
        since=NOW - 5,
        node="n",
        silenced_by="",
    )
    worse = replace(bad, severity="critical")
    other = replace(bad, spell="2", node="m", since=NOW - 9)
    gone = replace(bad, spell="3")
    anomaly = replace(bad, spell="", tier="anomaly", since=None, window_end=NOW)
    events = [bad, gone, anomaly, other, worse, replace(gone, verdict="healthy")]
    quiet = silences.made("s", {"node": "m"}, "1h", "0s", "disk", "", NOW)

    found = raised(events, {"s": quiet}, NOW)

    assert [(one.last.spell, one.last.severity, one.silenced_by) for one in found] == [
        ("1", "critical", ""),
        ("2", "warning", "silence s"),
        ("", "warning", ""),
    ]
    assert found[0].since == NOW - 5
    ended = replace(anomaly, verdict="healthy")
    assert len(raised([*events, ended], {}, NOW)) == 2
