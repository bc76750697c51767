"""Contracts: when a clause is violated and cleared, by whom, and which contracts are refused."""

from dataclasses import replace

from processors.contracts.clauses import Judged, judged_as, value_of
from processors.contracts.contract import Contracts, spec
from processors.vocabulary import known
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.observing import ContractViolated, Observation
from schemas.partitioning import partition_of
from schemas.processing import Batch, Output
from schemas.registrations import Clause, ContractRegistered, MetricDefined
from schemas.topics import PARTITIONS
from tests.contracts.making import START, observation, records

RIGHT = Clause(
    name="right",
    metric="accuracy",
    statistic="mean",
    operator=">=",
    threshold=0.8,
    window_ms=2_000,
    min_count=10,
)
CONTRACT = ContractRegistered(
    contract="digits-1",
    consumer="shop",
    app="digits",
    owner="someone",
    version=3,
    clauses=(RIGHT,),
    registered_at=START,
    event_id="digits-1-3",
)
HOME = partition_of("digits", PARTITIONS)


def world(*contracts: ContractRegistered, metrics: tuple[MetricDefined, ...] = ()) -> Catalogue:
    return Catalogue(
        {
            ContractRegistered: {one.contract: one for one in contracts},
            MetricDefined: {one.name: one for one in metrics},
        }
    )


def judge(clause: Clause, windows: list[Observation]) -> Judged | None:
    return judged_as(clause, value_of(clause, windows))


class Feeder:
    """Feeds windows one per second and fires the timers in between."""

    def __init__(self, catalogue: Catalogue, partition: int = HOME) -> None:
        built = spec().build(partition)
        assert isinstance(built, Contracts)
        self.processor = built
        self.catalogue = catalogue
        self.outputs: list[Output] = []
        self._offset = 0

    def feed(self, *events: Observation, at: int) -> None:
        self.wait(at)
        batch = Batch(records(list(events), self._offset), START + at, self.catalogue)
        self._offset += len(events)
        self.outputs.extend(self.processor.process(batch))

    def wait(self, until: int) -> None:
        while (due := self.processor.wake_at()) <= START + until:
            now = max(due, START)
            self.outputs.extend(self.processor.process(Batch((), now, self.catalogue)))

    def verdicts(self) -> list[ContractViolated]:
        return [event for event in self.outputs if isinstance(event, ContractViolated)]


def test_a_clause_is_violated_after_two_broken_spans_and_cleared_after_two_that_hold() -> None:
    feeder = Feeder(world(CONTRACT))
    values = [0.9, 0.9, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9, 0.9]
    for second, value in enumerate(values, start=1):
        feeder.feed(observation(value, 1_000 * second), at=1_000 * second + 50)
    feeder.wait(20_000)

    #  ends at s:  1    2    3    4    5    6    7    8    9    spans of two windows
    #  mean:      .9   .9   .7   .5   .5   .7   .9   .9   .9
    broken, held = feeder.verdicts()
    assert (broken.status, held.status) == ("violated", "cleared")
    assert (broken.since - START, broken.window_end - START) == (3_000, 4_000)
    assert broken.window_start - START == 2_000
    assert broken.evaluated_at - START == 4_550
    assert (broken.observed, broken.threshold, broken.operator) == (0.5, 0.8, ">=")
    assert (broken.contract, broken.contract_version, broken.clause) == ("digits-1", 3, "right")
    assert broken.causes == tuple(observation(0.5, end).event_id for end in (3_000, 4_000))
    assert held.window_end - START == 8_000
    assert held.since == broken.since


def test_the_tolerance_is_granted() -> None:
    windows = [observation(0.77, 1_000)]

    assert judge(RIGHT, windows) is not None
    assert judge(RIGHT, windows).holds is False  # type: ignore[union-attr]
    assert judge(replace(RIGHT, tolerance=0.05), windows).holds is True  # type: ignore[union-attr]


def test_too_few_events_are_not_judged() -> None:
    assert judge(RIGHT, [observation(0.1, 1_000, count=9)]) is None
    assert judge(RIGHT, []) is None


def test_the_application_as_a_whole_comes_before_its_services() -> None:
    whole = observation(0.9, 1_000)
    part = observation(0.1, 1_000, stage="classify", service="small")

    for clause, expected in (
        (RIGHT, 0.9),
        (replace(RIGHT, service="small"), 0.1),
        (replace(RIGHT, stage="classify"), 0.1),
    ):
        judged = judge(clause, [whole, part])
        assert judged is not None
        assert judged.observed == expected
    alone = judge(RIGHT, [part])
    assert alone is not None
    assert alone.observed == 0.1


def test_what_cannot_be_judged_refuses_the_contract_once() -> None:
    odd = replace(CONTRACT, clauses=(replace(RIGHT, statistic="median"),))
    feeder = Feeder(world(odd))

    feeder.wait(5_000)

    (refusal,) = feeder.outputs
    assert isinstance(refusal, ActionTaken)
    assert (refusal.kind, refusal.status) == ("contract.refused", "refused")
    assert refusal.target == "digits-1"
    assert "clause right: statistic 'median' is unknown; known: mean" in refusal.reason


def test_only_the_partition_of_the_app_speaks() -> None:
    odd = replace(CONTRACT, clauses=(replace(RIGHT, statistic="median"),))
    feeder = Feeder(world(odd, CONTRACT), partition=(HOME + 1) % PARTITIONS)

    feeder.wait(5_000)

    assert feeder.outputs == []


def test_a_metric_that_is_defined_may_be_promised() -> None:
    joy = replace(CONTRACT, clauses=(replace(RIGHT, metric="joy"),))
    defined = MetricDefined(
        name="joy", metric="joy", unit="", description="", registered_at=START, event_id="joy"
    )
    feeder = Feeder(world(joy, metrics=(defined,)))

    for second in (1, 2, 3):
        event = observation(0.1, 1_000 * second, metric="joy")
        feeder.feed(event, at=1_000 * second)
    feeder.wait(9_000)

    assert [one.status for one in feeder.verdicts()] == ["violated"]


def test_the_violation_of_a_contract_that_goes_is_cleared() -> None:
    feeder = Feeder(world(CONTRACT))
    for second in (1, 2, 3):
        feeder.feed(observation(0.1, 1_000 * second), at=1_000 * second)
    feeder.wait(4_000)
    feeder.catalogue = world()
    feeder.wait(6_000)

    assert [one.status for one in feeder.verdicts()] == ["violated", "cleared"]


def test_only_what_spans_can_reach_is_needed_from_the_log() -> None:
    feeder = Feeder(world(CONTRACT))
    for second in range(1, 21):
        feeder.feed(observation(0.9, 1_000 * second), at=1_000 * second)
    feeder.wait(30_000)

    assert feeder.processor.oldest_needed() == {("weir.observations", 0): 18}


def test_a_contract_holds_only_while_it_is_valid() -> None:
    later = replace(CONTRACT, valid_from=START + 60_000)
    feeder = Feeder(world(later))
    for second in (1, 2, 3):
        feeder.feed(observation(0.1, 1_000 * second), at=1_000 * second)
    feeder.wait(9_000)

    assert feeder.verdicts() == []


def test_the_vocabulary_knows_classes_and_definitions() -> None:
    assert known("accuracy")
    assert known("accuracy.class.7")
    assert not known("accuracy.class.")
    assert not known("joy")
    assert known("joy", ["joy"])
