"""Rules where there is little room: what is forgotten, and what is told without it."""

from processors.rules.quality import QualityParams
from schemas.decisions import ActionTaken
from schemas.observing import QualityEvaluated
from tests.contracts.making import START, columns, observation
from tests.contracts.scenarios.quality import rule
from tests.unit.processors.test_rules import LOW, SECOND, built, row, told, world


def test_more_rules_than_there_is_room_for_push_out_the_longest_unused() -> None:
    processor = built(QualityParams(max_judged=2))
    seen = [observation(0.1, SECOND * n, service=name) for n in (1, 2) for name in ("a", "b")]
    assert len(processor.process(columns(seen, START, world(LOW)))) == 2

    more = world(LOW, rule("other", threshold=0.0))
    full, *outputs = processor.process(columns(row([0.1], 3, service="b"), START, more))

    assert isinstance(full, ActionTaken)
    assert full.kind == "rules.full"
    (gone,) = outputs
    assert isinstance(gone, QualityEvaluated)
    assert (gone.service, *told(outputs)) == ("a", ("healthy", "info", 2))


def test_a_ratio_is_told_though_its_other_side_was_forgotten() -> None:
    across = rule(
        "across",
        kind="ratio",
        metric="errors",
        over_metric="requests",
        over_statistic="mean",
        operator=">",
        threshold=0.1,
        for_windows=1,
    )
    others = (rule("errors", metric="errors"), rule("other", metric="other"))
    errors, requests = row([0.0, 2.0], metric="errors"), row([10.0] * 2, metric="requests")
    seen = [*errors, requests[0], *row([1.0], metric="other"), requests[1]]

    processor = built(QualityParams(max_judged=3))
    full, bad = processor.process(columns(seen, START, world(across, *others)))

    assert isinstance(full, ActionTaken)
    assert isinstance(bad, QualityEvaluated)
    assert (bad.rule, bad.findings[0].observed) == ("across", 0.2)
    assert bad.causes == (requests[1].event_id,)
