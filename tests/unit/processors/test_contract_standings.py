"""How contracts stand over time: unobserved, not in force, versions, budgets, broken clocks."""

import json
import math
from dataclasses import replace
from io import BytesIO

import fastavro

from processors.contracts.contract import MAX_CAUSES
from processors.contracts.state import ContractState
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.files import state_text
from schemas.observing import ContractStanding, ContractViolated, Observation
from schemas.processing import Batch
from tests.contracts.making import START, observation, records
from tests.unit.processors.test_contracts import CONTRACT, RIGHT, Feeder, world


def standings(feeder: Feeder) -> list[ContractStanding]:
    return [event for event in feeder.outputs if isinstance(event, ContractStanding)]


def feed(feeder: Feeder, values: dict[int, float]) -> None:
    for second, value in values.items():
        feeder.feed(observation(value, 1_000 * second), at=1_000 * second)


def every(first: int, last: int, value: float) -> dict[int, float]:
    return dict.fromkeys(range(first, last + 1), value)


def test_a_metric_that_nobody_reports_is_unobserved_and_never_ok() -> None:
    joy = replace(CONTRACT, clauses=(RIGHT, replace(RIGHT, name="joy", metric="joy")))
    feeder = Feeder(world(joy))
    feed(feeder, every(1, 5, 0.9))
    feeder.wait(130_000)

    told = [(one.status, [clause.status for clause in one.clauses]) for one in standings(feeder)]
    assert told[0] == ("unobserved", ["unobserved", "unobserved"])
    assert told[1] == ("unobserved", ["ok", "unobserved"])
    assert told[-1] == ("unobserved", ["unobserved", "unobserved"])
    assert standings(feeder)[1].clauses[1].observed is None
    assert len(told) <= 2 + 130_000 // 60_000 + 1, "told when it changes, and once a minute"


def test_a_series_that_appears_once_breaks_nothing_and_is_soon_unobserved() -> None:
    for value, status in ((0.1, "unobserved"), (0.9, "ok")):
        feeder = Feeder(world(CONTRACT))
        feed(feeder, {2: value})
        feeder.wait(100_000)

        assert feeder.verdicts() == []
        told = [one.status for one in standings(feeder)]
        assert (told[0], status in told, told[-1]) == ("unobserved", True, "unobserved")
        assert "ok" not in told or status == "ok"


def test_a_gap_leaves_a_spell_open() -> None:
    feeder = Feeder(world(CONTRACT))
    feed(feeder, every(1, 4, 0.1) | every(90, 93, 0.9))
    feeder.wait(95_000)

    assert [one.status for one in feeder.verdicts()] == ["violated", "cleared"]
    assert feeder.verdicts()[1].window_end - START > 89_000
    told = list(dict.fromkeys(one.status for one in standings(feeder)))
    assert told == ["unobserved", "violated", "ok"]


def test_a_constant_series_is_judged_like_any() -> None:
    feeder = Feeder(world(CONTRACT))
    feed(feeder, every(1, 20, 0.8))
    feeder.wait(22_000)

    assert [one.status for one in standings(feeder)] == ["unobserved", "ok"]
    assert feeder.verdicts() == []


def test_standings_follow_the_spells() -> None:
    feeder = Feeder(world(CONTRACT))
    feed(feeder, every(1, 4, 0.9) | every(5, 8, 0.2) | every(9, 14, 0.9))
    feeder.wait(20_000)

    assert [one.status for one in standings(feeder)] == ["unobserved", "ok", "violated", "ok"]
    (violated, cleared) = feeder.verdicts()
    assert violated.spell == violated.event_id == cleared.spell
    assert violated.excess == 0.8 - violated.observed
    assert standings(feeder)[2].causes == ("digits-1-3", violated.event_id)
    assert (cleared.excess, cleared.severity) == (0.0, "warning")


def test_what_is_not_valid_is_not_in_force() -> None:
    brief = replace(CONTRACT, valid_from=START + 3_000, valid_until=START + 9_000)
    feeder = Feeder(world(brief))
    feed(feeder, every(1, 12, 0.1))
    feeder.wait(200_000)

    told = [one.status for one in standings(feeder)]
    assert told == ["not-in-force", "unobserved", "violated", "not-in-force"]
    assert [one.status for one in feeder.verdicts()] == ["violated", "cleared"]


def test_a_class_is_judged_by_its_own_metric() -> None:
    sevens = replace(CONTRACT, clauses=(replace(RIGHT, label="7"),))
    feeder = Feeder(world(sevens))
    for second in range(1, 5):
        windows = [
            observation(value, 1_000 * second, metric=metric)
            for metric, value in (("accuracy", 0.9), ("accuracy.class.7", 0.2))
        ]
        feeder.feed(*windows, at=1_000 * second)
    feeder.wait(9_000)

    assert [one.metric for one in feeder.verdicts()] == ["accuracy.class.7"]


def test_a_new_version_keeps_the_spells_of_what_it_promises_alike() -> None:
    quick = replace(RIGHT, name="quick", metric="confidence")
    feeder = Feeder(world(replace(CONTRACT, clauses=(RIGHT, quick))))
    for second in range(1, 5):
        windows = [observation(0.1, 1_000 * second, metric=m) for m in ("accuracy", "confidence")]
        feeder.feed(*windows, at=1_000 * second)
    feeder.wait(5_500)
    kept, changed = replace(RIGHT, severity="critical"), replace(quick, threshold=0.7)
    feeder.catalogue = world(
        replace(CONTRACT, version=4, event_id="digits-1-4", clauses=(kept, changed))
    )
    feeder.wait(8_000)

    told = [(one.clause, one.status, one.contract_version) for one in feeder.verdicts()]
    assert told == [("right", "violated", 3), ("quick", "violated", 3), ("quick", "cleared", 3)]
    assert standings(feeder)[-1].contract_version == 4
    assert [one.status for one in standings(feeder)[-1].clauses] == ["violated", "unobserved"]


def test_an_older_version_is_refused_and_changes_nothing() -> None:
    feeder = Feeder(world(CONTRACT))
    feeder.wait(2_000)
    feeder.catalogue = world(replace(CONTRACT, version=2, event_id="digits-1-2"))
    feed(feeder, every(3, 6, 0.9))
    again = Feeder(feeder.catalogue)
    again.processor.restore(feeder.processor.snapshot())
    again.wait(9_000)

    (refused,) = [event for event in feeder.outputs if isinstance(event, ActionTaken)]
    assert "version 2 is older than 3; version 3 stays in force" in refused.reason
    assert standings(feeder)[-1].contract_version == 3
    assert not [event for event in again.outputs if isinstance(event, ActionTaken)]


def test_a_wrong_version_leaves_the_one_before_it_in_force() -> None:
    feeder = Feeder(world(CONTRACT))
    feeder.wait(2_000)
    wrong = replace(RIGHT, statistic="median")
    feeder.catalogue = world(replace(CONTRACT, version=4, event_id="bad", clauses=(wrong,)))
    feed(feeder, every(3, 6, 0.1))
    feeder.wait(9_000)

    assert [one.contract_version for one in feeder.verdicts()] == [3]


def test_a_budget_burns_and_when_it_is_spent_the_clause_is_violated() -> None:
    slo = replace(RIGHT, window_ms=1_000, objective=0.9, period_ms=100_000)
    feeder = Feeder(world(replace(CONTRACT, clauses=(slo,))))
    bad = dict.fromkeys((10, 11, *range(20, 40, 2)), 0.1)
    feed(feeder, every(1, 60, 0.9) | bad)
    feeder.wait(62_000)

    (violated, cleared) = feeder.verdicts()
    assert violated.budget_left == 0.8
    last = standings(feeder)[-1]
    assert last.status == "violated", "without a spell, since the eleventh broken second"
    assert last.clauses[0].budget_left == 1 - 11_000 / 10_000
    assert (last.clauses[0].judged, last.clauses[0].held) == (36, 25 / 36)
    assert cleared.budget_left == 0.8


def test_values_that_are_no_numbers_are_no_judgement() -> None:
    feeder = Feeder(world(CONTRACT))
    feed(feeder, every(1, 5, math.nan))
    feeder.wait(7_000)

    assert feeder.verdicts() == []
    assert {one.status for one in standings(feeder)} == {"unobserved"}


def test_a_window_of_the_far_future_is_not_believed() -> None:
    feeder = Feeder(world(CONTRACT))
    feeder.feed(observation(0.1, 9_000_000), at=500)
    feed(feeder, every(1, 5, 0.1))
    feeder.wait(7_000)

    assert [one.status for one in feeder.verdicts()] == ["violated"]


def test_a_host_whose_clock_goes_back_judges_and_tells_on() -> None:
    feeder = Feeder(world(CONTRACT))
    feed(feeder, every(1, 2, 0.9) | {3: 0.1})
    processor = feeder.processor
    back = START - 1_800_000
    told = [*processor.process(batch_at(feeder, observation(0.1, 4_000), back))]
    for _ in range(3):
        told += processor.process(batch_at(feeder, None, processor.wake_at()))

    (violated,) = [one for one in told if isinstance(one, ContractViolated)]
    assert violated.since == START + 3_000, "what was due before the jump is judged after it"
    assert "violated" in [one.status for one in told if isinstance(one, ContractStanding)]


def test_overlapping_spans_spend_each_second_once() -> None:
    slo = replace(RIGHT, objective=0.5, period_ms=100_000)
    feeder = Feeder(world(replace(CONTRACT, clauses=(slo,))))
    feed(feeder, every(1, 2, 0.9) | every(3, 6, 0.1) | every(7, 10, 0.9))
    feeder.wait(12_000)

    # spans of two seconds that end at 3 to 7 are broken
    assert feeder.verdicts()[-1].budget_left == 1 - 5_000 / 50_000


def test_a_verdict_names_no_more_than_the_newest_observations() -> None:
    feeder = Feeder(world(CONTRACT))
    for second in (1, 2, 3):
        windows = [observation(0.1, 1_000 * second, stage="s", service=f"m{n}") for n in range(40)]
        feeder.feed(*windows, at=1_000 * second)
    feeder.wait(5_000)

    (violated,) = feeder.verdicts()
    assert len(violated.causes) == MAX_CAUSES


def batch_at(feeder: Feeder, event: Observation | None, now_ms: int) -> Batch:
    return Batch(records([event] if event else [], 1_000), now_ms, feeder.catalogue)


def test_the_state_of_the_format_before_is_taken_over() -> None:
    writer = state_text("ContractState", 1)
    names = [field["name"] for field in json.loads(writer)["fields"]]
    clause = {name: getattr(RIGHT, name) for name in _fields(writer, "Clause")}
    standing = {
        "contract": "digits-1",
        "contract_id": "digits-1-3",
        "version": 3,
        "consumer": "shop",
        "app": "digits",
        "clause": clause,
        "violated": True,
        "turning": 0,
        "since": START,
        "first": START,
        "last_end": START,
        "observed": 0.1,
    }
    old = dict.fromkeys(names, ()) | {"next_check": 1, "partition": 0, "standings": [standing]}
    written = BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(json.loads(writer)), old)
    state = unpack_state(written.getvalue(), ContractState, writer)

    feeder = Feeder(world(CONTRACT))
    feeder.processor.restore(pack_state(state))
    feeder.wait(1_000)
    feed(feeder, every(3, 8, 0.9))
    feeder.wait(9_000)
    assert [one.status for one in feeder.verdicts()] == ["cleared"]


def _fields(writer: str, record: str) -> list[str]:
    """Return the fields of a record within a schema."""
    left = [json.loads(writer)]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if one.get("name") == record:
                return [field["name"] for field in one["fields"]]
            left += one.values()
        elif isinstance(one, list):
            left += one
    raise AssertionError(record)


def test_a_violation_names_who_left_what_was_usual() -> None:
    quick = replace(RIGHT, name="quick", metric="latency", operator="<", threshold=50.0)
    feeder = Feeder(world(replace(CONTRACT, clauses=(quick,))))
    for second in range(1, 13):
        slow = 150.0 if second > 9 else 40.0
        windows = [
            observation(value, 1_000 * second, metric="latency", stage="classify", service=service)
            for service, value in (("small", 30.0), ("large", slow))
        ]
        feeder.feed(*windows, at=1_000 * second)
    feeder.wait(14_000)

    (violated,) = feeder.verdicts()
    large, small = violated.contributions
    assert (large.service, small.service) == ("large", "small")
    assert (large.baseline, small.baseline) == (40.0, 30.0)
    assert math.fsum((large.amount, small.amount)) == violated.excess > 0
    assert (large.share, small.share) == (1.0, 0.0)
