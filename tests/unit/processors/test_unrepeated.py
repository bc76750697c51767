"""Which of several windows of a series count."""

from dataclasses import replace

from processors.contracts.evidence import Evidence
from processors.selecting.profiles import Series, add
from processors.unrepeated import unrepeated
from schemas.observing import Observation
from tests.contracts.making import observation


def window(
    name: str, start: int, end: int, *, kind: str = "tumbling", service: str = "a"
) -> Observation:
    return replace(
        observation(1.0, end, service=service),
        event_id=f"{name}-{service}-{start}-{end}",
        window=name,
        kind=kind,
        window_start=start,
        window_end=end,
    )


def ids(found: list[Observation]) -> list[str]:
    return sorted(f"{seen.service}:{seen.window}:{seen.window_start}" for seen in found)


def test_the_shortest_tumbling_definition_counts_for_each_series() -> None:
    seen = [
        window("minute", 0, 60),
        *(window("second", start, start + 10) for start in range(0, 60, 10)),
        window("burst", 3, 8, kind="session"),
        window("minute", 0, 60, service="b"),
        window("a-burst", 1, 2, kind="session", service="b"),
    ]
    expected = [*(f"a:second:{start}" for start in range(0, 60, 10)), "b:minute:0"]
    assert ids(unrepeated(seen)) == expected
    assert ids(unrepeated(reversed(seen))) == expected


def test_without_a_tumbling_one_the_first_by_name_counts_and_nothing_twice() -> None:
    hops = [window("hops", start, start + 30, kind="hopping") for start in range(0, 60, 10)]
    rest = [window("zz", 0, 100, kind="session")]
    assert ids(unrepeated([*rest, *hops])) == ["a:hops:20", "a:hops:50"]


def test_windows_that_touch_do_not_overlap() -> None:
    seen = [window("w", 0, 10), window("w", 10, 20)]
    assert ids(unrepeated(seen)) == ["a:w:0", "a:w:10"]


def test_a_definition_that_was_changed_counts_by_its_shortest_windows() -> None:
    seen = [window("a", 0, 60), window("a", 60, 65), window("b", 60, 70), window("b", 50, 60)]
    for order in (seen, seen[::-1]):
        assert ids(unrepeated(order)) == ["a:a:0", "a:a:60"]


def test_series_of_two_units_are_two() -> None:
    seen = [replace(window("w", 0, 10), unit=unit) for unit in ("s", "ms")]
    assert unrepeated(seen) == seen


def test_early_observations_are_no_evidence_and_no_profile() -> None:
    early = replace(window("w", 0, 10), final=False)
    evidence = Evidence()
    assert not evidence.add(early, 1, 1_000)
    assert evidence.add(replace(early, final=True, revision=3), 2, 1_000)
    assert [seen.revision for seen in evidence.within(10, 100, (early.metric,))] == [3]
    assert add(Series(), early, 10) == Series()
