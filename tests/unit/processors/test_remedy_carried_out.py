"""Every action of a remedy is carried out by those whose business it is, in one run of all."""

from dataclasses import replace

from processors.remedying.base import unpaired
from schemas.authority import AVOID, DRAIN, SHARE, standing
from schemas.quality import RetrainingRequested
from schemas.registrations import PolicySelected
from schemas.resources import Variant
from tests.unit.processors import remedy_world as w


def _nodes(run: w.Run) -> set[str]:
    return {one.node for one in run.placement().assignments}


def test_more_copies_are_placed_and_the_verdict_that_clears_says_that_it_helped() -> None:
    known = (w.service(max_replicas=4), w.selected("s"), w.placed("s", "a"))
    run = w.Run(*known, w.defined("scale", parameters=w.pairs(by="2")))

    run.at(1_000, w.verdict(1_000)).at(2_000)

    assert run.placement().replicas == len(run.placement().assignments) == 3
    (deed,) = run.said("remedy.scale")
    assert (deed.status, deed.target, deed.policy, deed.app) == ("done", "s", "mend", w.APP)
    assert deed.causes[0] == w.verdict(1_000).event_id

    run.at(9_000, w.verdict(9_000, "healthy")).during(10_000, 22_000)

    (judged,) = run.said("remedy.verified")
    assert judged.helped is True
    assert judged.causes[0] == deed.event_id


def test_more_copies_that_do_not_help_are_taken_away_again() -> None:
    known = (w.service(max_replicas=4), w.selected("s"), w.placed("s", "a"))
    run = w.Run(*known, w.defined("scale", undo=True))

    run.at(1_000, w.verdict(1_000)).at(2_000)
    assert run.placement().replicas == 2
    run.during(3_000, 22_000)

    assert run.said("remedy.verified")[0].helped is False
    assert run.said("remedy.undone")[0].status == "done"
    assert run.placement().replicas == 1


def test_a_violation_scales_the_service_that_is_blamed() -> None:
    known = (w.service(max_replicas=4), w.selected("s"), w.placed("s", "a"))
    run = w.Run(*known, w.defined("scale", on="violation"))

    run.at(1_000, w.violated(1_000)).at(2_000)

    assert [one.target for one in run.said("remedy.scale")] == ["s"]
    assert run.placement().replicas >= 2


def test_copies_leave_the_node_of_a_sick_instance_until_the_time_is_over() -> None:
    known = (w.service(), w.service("t"), w.placed("s", "ab"), w.placed("t", "a"))
    mend = w.defined("replace", parameters=w.pairs(hold_ms="30000"))
    run = w.Run(*known, w.selected("s", "t"), mend)

    run.at(1_000, w.verdict(1_000, instance="s.a")).during(2_000, 4_000)

    assert len(_nodes(run)) == 2
    assert "a" not in _nodes(run)
    assert {one.node for one in run.placement("t").assignments} == {"a"}
    run.during(5_000, 35_000)
    assert standing(run.log.catalogue(), f"{AVOID}s/a") is None
    assert [one.target for one in run.said("remedy.ended")] == [f"{AVOID}s/a"]


def _held() -> w.Run:
    """Return a run in which `s` avoids a node from 1 to 31 s."""
    mend = w.defined("replace", parameters=w.pairs(hold_ms="30000"))
    run = w.Run(w.service(), w.placed("s", "ab"), w.selected("s"), mend)
    return run.at(1_000, w.verdict(1_000, instance="s.a")).during(2_000, 4_000)


def test_a_freeze_keeps_what_is_held_until_it_ends() -> None:
    run = _held().at(5_000, w.policy("freeze", at=5_000, state="on", reason="repairs"))

    run.during(30_000, 40_000)
    assert standing(run.log.catalogue(), f"{AVOID}s/a") is not None

    run.at(41_000, w.policy("freeze", at=41_000, state="off")).during(42_000, 43_000)
    assert standing(run.log.catalogue(), f"{AVOID}s/a") is None


def test_what_somebody_wants_to_stay_is_not_ended_with_the_time() -> None:
    theirs = w.policy(f"{AVOID}s/a", at=5_000, state="on", reason="its fan is broken")
    run = _held().at(5_000, theirs).during(30_000, 40_000)

    assert standing(run.log.catalogue(), f"{AVOID}s/a") == theirs
    assert run.said("remedy.ended") == []


def test_what_somebody_wants_to_stay_is_not_undone() -> None:
    known = (w.service(), w.placed("s", "ab"), w.selected("s"))
    run = w.Run(*known, w.defined("replace", undo=True))
    theirs = w.policy(f"{AVOID}s/a", at=5_000, state="on", reason="its fan is broken")
    run.at(1_000, w.verdict(1_000, instance="s.a")).at(5_000, theirs).during(20_000, 23_000)

    assert standing(run.log.catalogue(), f"{AVOID}s/a") == theirs
    (said,) = run.said("remedy.undone")
    assert (said.status, "others want" in said.reason) == ("failed", True)


def test_a_node_that_a_diagnosis_names_first_is_drained_and_used_again_when_that_was_no_help() -> (
    None
):
    known = (w.service(), w.service("t"), w.placed("s", "ab"), w.placed("t", "a"))
    mend = w.defined("replace", tier="diagnosis", causes=("node",), undo=True)
    run = w.Run(*known, w.selected("s", "t"), mend)
    symptom = w.verdict(500)

    run.at(500, symptom)
    run.at(1_000, w.diagnosed(1_000, "node", "a", (symptom.event_id,))).during(2_000, 4_000)

    assert "a" not in _nodes(run)
    assert {one.node for one in run.placement("t").assignments} != {"a"}
    assert standing(run.log.catalogue(), f"{DRAIN}a") is not None
    run.during(5_000, 22_000)
    assert run.said("remedy.verified")[0].helped is False
    assert standing(run.log.catalogue(), f"{DRAIN}a") is None


def test_a_version_that_was_promoted_is_taken_back_and_its_copies_run_the_old_one() -> None:
    variants = tuple(Variant(name=v, precision="fp32", device="cpu") for v in ("v1", "v2"))
    share = w.policy(
        f"{SHARE}s", variant="v2", share="1.0", step="5", status="promoted", policy="p"
    )
    known = (w.service(variants=variants), w.selected("s"), w.placed("s", "ab"), share)
    run = w.Run(*known, w.defined("rollback"))
    run.during(1_000, 3_000)
    assert {one.variant for one in run.placement().assignments} == {"v2"}

    run.at(4_000, w.verdict(4_000)).during(5_000, 9_000)

    taken = run.log.catalogue().get(PolicySelected, f"{SHARE}s")
    assert taken is not None
    assert unpaired(taken.parameters)["share"] == "0.0"
    assert {one.variant for one in run.placement().assignments} == {"v1"}
    assert run.said("canary.rolled-back")[0].target == "s"
    run.at(10_000, w.verdict(10_000, "healthy")).during(11_000, 25_000)
    assert run.said("remedy.verified")[0].helped is True


def test_training_is_asked_for_on_the_events_of_the_new_concept() -> None:
    run = w.Run(w.service(), w.placed("s", "a"), w.defined("retrain", on="drift"))

    run.at(6_000, w.drift(6_000))

    (asked,) = run.log.events("weir.retraining")
    assert isinstance(asked, RetrainingRequested)
    found = w.drift(6_000)
    assert (asked.model, asked.drift, asked.since) == ("s-model", found.event_id, found.since)
    assert asked.events == 500


def test_training_waits_until_the_drift_is_explained() -> None:
    run = w.Run(w.service(), w.placed("s", "a"), w.defined("retrain", on="drift"))
    told = w.drift(6_000, cause="", retrain=False)
    explained = replace(
        told, event_id="why", status="explained", cause="covariate", retrain=True,
        causes=(told.event_id,),
    )  # fmt: skip

    run.at(6_000, told)
    assert run.said("remedy.retrain") == []
    run.at(7_000, explained)

    (asked,) = run.log.events("weir.retraining")
    assert isinstance(asked, RetrainingRequested)
    assert asked.drift == "why"


def test_a_fault_of_a_sensor_never_asks_for_training() -> None:
    run = w.Run(w.service(), w.placed("s", "a"), w.defined("retrain", on="drift"))

    run.at(6_000, w.drift(6_000, cause="sensor-stuck"))
    run.at(7_000, w.drift(7_000, cause="covariate", retrain=False))
    run.at(8_000, w.drift(8_000, events=20))

    assert run.log.events("weir.retraining") == []
    stuck, unadvised, few = run.said("remedy.retrain")
    assert "sensor-stuck" in stuck.reason
    assert "does not advise" in unadvised.reason
    assert "20 events" in few.reason
    assert {one.status for one in (stuck, unadvised, few)} == {"refused"}
