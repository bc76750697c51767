"""What remedies ask of place and canary: nodes to avoid, versions to take back."""

from schemas.authority import AVOID, CANARY, SHARE
from schemas.resources import Variant
from tests.unit.processors import remedy_world as w


def _nodes(run: w.Run) -> list[str]:
    return sorted(one.node for one in run.placement().assignments)


def test_a_service_leaves_a_node_it_is_to_avoid_and_takes_no_place_there() -> None:
    known = (w.service(max_replicas=4), w.placed("s", "ab"), w.selected("s"))
    run = w.Run(*known, w.policy(f"{AVOID}s/a", state="on", reason="test"))
    run.during(1_000, 3_000)
    assert len(_nodes(run)) == 2
    assert "a" not in _nodes(run)

    run.at(4_000, w.policy(f"{AVOID}s/b", at=4_000, state="on")).during(5_000, 7_000)
    assert _nodes(run) == ["c", "d"]


def test_a_copy_stays_on_a_node_to_avoid_where_no_other_has_room() -> None:
    known = (w.service(), w.placed("s", "abcd"), w.selected("s"))
    run = w.Run(*known, w.policy(f"{AVOID}s/a", state="on")).during(1_000, 3_000)

    assert _nodes(run) == ["a", "b", "c", "d"]


def test_a_version_that_no_copy_runs_cannot_be_taken_back() -> None:
    variants = tuple(Variant(name=v, precision="fp32", device="cpu") for v in ("v1", "v2"))
    asked = w.policy(f"{CANARY}s", variant="v2", rollback="test")
    known = (w.service(variants=variants), w.placed("s", "ab"), w.selected("s"))
    run = w.Run(*known, asked).during(1_000, 2_000)
    (refused,) = run.said("canary.")
    assert (refused.status, refused.kind) == ("refused", "canary.refused")

    share = w.policy(f"{SHARE}s", variant="v2", share="0.5", step="2", status="running", policy="p")
    run = w.Run(*known, share, asked).during(1_000, 2_000)
    assert [one.kind for one in run.said("canary.")] == ["canary.rolled-back"]
