"""select: when it selects, what it tries, what it says."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from processors.errors import InvalidParameters
from processors.selecting.parameters import SelectParams
from processors.selecting.selection import spec
from schemas.codec import pack
from schemas.decisions import EnsembleSelected, PlacementRequested
from schemas.records import KeyValue
from tests.unit.processors import selecting_cases as c
from tests.unit.processors.selecting_cases import World

PARAMS = SelectParams()


def started(*more: object) -> World:
    world = World(None, c.contract(), *more)  # type: ignore[arg-type]
    world.seconds(5)
    return world


def blurred() -> World:
    """Return a world whose present ensemble has just been seen to get worse."""
    world = started()
    world.accuracy = c.BLURRED
    world.seconds(2)
    world.feed(c.drift(world.members[0], world.now - 2000))
    return world


def trials(world: World) -> list[int]:
    """Return when trials began."""
    return [e.selected_at for e in world.ensembles if any(m.role == "shadow" for m in e.members)]


def test_a_new_application_gets_an_ensemble_by_declared_profiles() -> None:
    world = started()
    (ensemble,) = world.ensembles
    assert ensemble.generation == 1
    assert ensemble.contract == "desk"
    assert ensemble.predicted_accuracy >= 0.8
    assert 1 <= len(ensemble.alternatives) <= 5
    assert ensemble.alternatives[0].score <= ensemble.score
    assert "registered-app" in ensemble.causes
    assert ensemble.catalogue
    assert "first selection" in ensemble.reason


def test_the_first_ensemble_waits_until_the_catalogue_is_quiet() -> None:
    world = World(None, c.contract())
    world.feed()
    world.now += PARAMS.settle_ms - 1
    assert not world.feed(c.observation("response_latency", world.now - 1000, 1.0))
    world.register(c.contract(threshold=0.9))
    world.now += PARAMS.look_ms
    assert not world.feed()
    world.now += 2 * PARAMS.settle_ms
    assert world.feed()


def test_a_placement_is_requested_for_every_service_of_the_application() -> None:
    world = started()
    assert set(world.demands) == set(c.DECLARED)
    assert {s for s, n in world.demands.items() if n} == set(world.members)
    (request,) = [e for e in world.out if isinstance(e, PlacementRequested)]
    assert request.causes == (world.ensembles[0].event_id,)
    for event in world.out:
        pack(event)


def test_without_drift_nothing_is_selected_again() -> None:
    world = started()
    world.seconds(120)
    assert len(world.ensembles) == 1


def test_a_drift_begins_a_trial_with_the_other_services_as_shadows() -> None:
    world = blurred()
    assert set(world.members) | set(world.shadows) == set(c.DECLARED)
    ensemble = world.ensembles[-1]
    assert all(m.weight == 0 for m in ensemble.members if m.role == "shadow")
    assert all(m.weight > 0 for m in ensemble.members if m.role == "member")
    assert all(n == 1 for n in world.demands.values())
    assert any(cause.startswith("drift-") for cause in ensemble.causes)


def test_the_trial_ends_in_the_ensemble_that_is_best_now() -> None:
    world = blurred()
    before = world.ensembles[-2].members
    world.seconds(4)
    assert world.shadows == ()
    assert "svm" in world.members
    assert world.ensembles[-1].members != before
    assert world.ensembles[-1].predicted_accuracy > 0.75
    assert "svm 0.90" in world.ensembles[-1].reason
    assert {s for s, n in world.demands.items() if not n} == set(c.DECLARED) - set(world.members)
    causes = world.ensembles[-1].causes
    assert any(cause.startswith("drift-") for cause in causes)
    assert any(cause.startswith("accuracy-svm") for cause in causes)


def test_after_the_switch_it_stays() -> None:
    world = blurred()
    world.seconds(4)
    generations = len(world.ensembles)
    world.seconds(120)
    assert len(world.ensembles) == generations


def test_an_ensemble_that_is_still_best_is_kept_and_its_shadows_are_retired() -> None:
    world = started()
    members = world.members
    world.accuracy = {name: share - 0.04 for name, share in c.CLEAN.items()}
    world.feed(c.drift(members[0], world.now - 500, 0.10, 0.14))
    assert world.shadows
    world.seconds(5)
    assert world.members == members
    assert world.shadows == ()
    assert len(world.ensembles) == 3
    assert "still the best" in world.ensembles[-1].reason or "stays" in world.ensembles[-1].reason


def test_a_trial_in_which_nobody_answers_keeps_the_ensemble() -> None:
    world = blurred()
    members = world.members
    silence(world, PARAMS.serve_ms // 1000 - 3)
    assert world.shadows
    silence(world, 4)
    assert world.members == members
    assert world.shadows == ()
    assert "did not serve within 60 s: forest, mlp, svm, tree" in world.ensembles[-1].reason
    assert "left out for want of evidence" in world.ensembles[-1].reason


def silence(world: World, seconds: int) -> None:
    """Let time pass in which nothing is observed."""
    for _ in range(2 * seconds):
        world.now += 500
        world.feed()


def test_what_was_observed_last_counts_while_nothing_new_is() -> None:
    world = started()
    world.accuracy = dict.fromkeys(c.DECLARED, 0.3)
    world.seconds(20)
    world.feed(c.drift(world.members[0], world.now))
    silence(world, PARAMS.serve_ms // 1000 + 1)
    assert world.shadows == ()
    (tried, kept) = world.ensembles[-2:]
    assert tried.predicted_accuracy == kept.predicted_accuracy < 0.6
    assert "observed: bayes 0.40" in kept.reason
    world.feed(c.violation(world.now - 1000))
    silence(world, 60)
    assert world.ensembles[-1].predicted_accuracy < 0.6


def test_answers_of_shadows_that_come_after_a_trial_count_in_the_next_one() -> None:
    world = blurred()
    world.feed(c.violation(world.now - 1000))
    begun = world.now
    while world.shadows:
        start = world.now
        world.now += 1000
        world.feed(
            *(c.observation("accuracy", start, c.BLURRED[s], service=s) for s in world.members)
        )
    assert "svm" not in world.members
    late = [
        c.observation("accuracy", begun + 1000 * second, c.BLURRED[s], service=s)
        for second in range(4)
        for s in c.DECLARED
    ]
    world.feed(*late)
    silence(world, PARAMS.cooldown_ms // 1000 + 2)
    assert "svm" in world.members


def test_a_service_that_was_never_seen_in_the_new_concept_is_not_chosen() -> None:
    world = blurred()
    while world.shadows:
        start = world.now
        world.now += 1000
        seen = [
            c.observation("accuracy", start, c.BLURRED[name], service=name)
            for name in (*world.members, *world.shadows)
            if name != "svm"
        ]
        world.feed(*seen)
    assert "svm" not in world.members
    assert "mlp" in world.members


def judge(world: World, seconds: int, *but: str, **more: Any) -> None:
    """Let members and shadows answer in the new concept, all but those named."""
    for _ in range(seconds):
        start = world.now
        world.now += 1000
        serving = sorted({*world.members, *world.shadows} - set(but))
        told = {"metric": "accuracy"} | more
        world.feed(
            *(c.observation(start=start, mean=c.BLURRED[s], service=s, **told) for s in serving)
        )


def test_a_trial_waits_for_a_candidate_whose_worker_starts_late() -> None:
    world = blurred()
    judge(world, PARAMS.serve_ms // 1000 - 5, "svm")
    assert world.shadows == ("svm",)
    judge(world, 3)
    assert not world.shadows
    assert "svm" in world.members
    assert "svm 0.90" in world.ensembles[-1].reason


def test_who_proved_better_serves_while_others_of_the_trial_are_awaited() -> None:
    world = blurred()
    judge(world, 4, "svm")
    assert "mlp" in world.members
    assert world.shadows == ("svm",)
    assert "awaited still: svm" in world.ensembles[-1].reason
    generations = len(world.ensembles)
    judge(world, 20, "svm")
    assert len(world.ensembles) == generations
    judge(world, PARAMS.serve_ms // 1000, "svm")
    assert not world.shadows
    assert "mlp" in world.members
    assert "did not serve within 60 s: svm" in world.ensembles[-1].reason


def test_the_time_of_a_candidate_begins_when_an_instance_of_it_is_ready() -> None:
    world = blurred()
    silence(world, 40)
    world.register(*(c.broken(name, "ready") for name in c.DECLARED))
    judge(world, PARAMS.known - 1, count=1)
    assert world.shadows
    judge(world, 2, count=1)
    assert not world.shadows
    assert "svm" in world.members


def test_a_candidate_that_serves_and_is_never_judged_ends_the_trial_by_its_bound() -> None:
    world = blurred()
    world.register(c.broken("svm", "ready"))
    judge(world, PARAMS.trial_most_ms // 1000 - 2, "svm")
    assert "svm" in world.shadows
    judge(world, 4, "svm")
    assert not world.shadows
    assert "svm" not in world.members
    assert "left out for want of evidence: svm" in world.ensembles[-1].reason


def test_a_member_that_was_not_judged_in_a_trial_gives_way_to_those_that_were() -> None:
    world = blurred()
    silent = world.members
    judge(world, PARAMS.trial_most_ms // 1000 + 2, *silent)
    assert world.shadows == ()
    assert not set(silent) & set(world.members)


def test_a_pinned_service_is_chosen_whatever_is_known_of_it() -> None:
    world = blurred()
    judge(world, 4, "tree")
    world.register(replace(c.policy("act"), parameters=(KeyValue(key="members", value="tree"),)))
    silence(world, 3)
    assert world.members == ("tree",)


def test_without_labels_it_is_agreement_that_a_trial_counts() -> None:
    world = World(None, c.contract())
    silence(world, 3)
    judge(world, 3, metric="agreement")
    world.feed(c.drift(world.members[0], world.now))
    judge(world, 10, metric="latency", instance="a")
    assert world.shadows
    judge(world, 3, metric="agreement")
    assert world.shadows == ()


def test_a_drift_of_the_same_change_after_the_trial_begins_no_other() -> None:
    world = blurred()
    since = world.now - 2000
    world.seconds(4)
    generations = len(world.ensembles)
    world.feed(c.drift("", since + 100), c.drift(world.members[0], since + 700))
    world.seconds(60)
    assert len(world.ensembles) == generations


def test_a_drift_of_a_service_that_does_not_serve_is_no_reason() -> None:
    world = started()
    (idle, *_) = sorted(set(c.DECLARED) - set(world.members))
    assert not world.feed(c.drift(idle, world.now))


def test_an_improvement_of_the_application_is_no_reason() -> None:
    world = started()
    assert not world.feed(c.drift("", world.now, before=0.4, after=0.1))


def test_an_improvement_of_a_member_leads_back_to_cheaper_services() -> None:
    world = blurred()
    world.seconds(30)
    dear = world.ensembles[-1].predicted_cost
    world.accuracy = c.CLEAN
    world.seconds(3)
    world.feed(c.drift(world.members[0], world.now - 3000, before=0.4, after=0.02))
    assert world.shadows
    world.seconds(6)
    assert world.ensembles[-1].predicted_cost < dear
    assert "improvement" in world.ensembles[-1].reason


def test_a_violation_begins_a_trial_and_is_tried_again_ever_more_rarely() -> None:
    world = started()
    world.accuracy = dict.fromkeys(c.DECLARED, 0.6)
    world.seconds(3)
    world.feed(c.violation(world.now - 3000))
    assert world.shadows
    world.seconds(300)
    pauses = [b - a for a, b in pairwise(trials(world))]
    assert len(pauses) >= 2
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]


def test_a_violation_that_is_cleared_in_the_cool_down_begins_nothing() -> None:
    world = blurred()
    world.seconds(4)
    generations = len(world.ensembles)
    world.feed(c.violation(world.now - 1000))
    world.seconds(3)
    world.feed(c.violation(world.now - 1000, "cleared"))
    world.seconds(60)
    assert len(world.ensembles) == generations


def test_a_member_that_is_removed_is_replaced_without_a_trial() -> None:
    world = started()
    gone = world.members[0]
    world.remove(c.service(gone))
    world.register(c.application([name for name in c.DECLARED if name != gone]))
    world.second()
    assert len(world.ensembles) == 1
    world.second()
    assert world.shadows == ()
    assert gone not in world.members
    assert world.members
    assert world.demands[gone] == 0
    assert "can no longer serve" in world.ensembles[-1].reason


def test_a_member_whose_model_is_broken_is_replaced_until_it_is_registered_anew() -> None:
    world = World(SelectParams(min_gain=0.001), c.contract(threshold=0.5))
    world.seconds(5)
    bad = world.members[0]
    world.register(c.broken(bad))
    world.second()
    assert bad not in world.members
    world.register(c.broken(bad, "stopped"))
    world.seconds(30)
    assert bad not in world.members
    world.register(c.service(bad, digest="mended"))
    world.seconds(5)
    assert bad in world.members


def outage() -> World:
    """Return a world whose member lost its only instance, and whose contract is violated."""
    world = started()
    world.register(c.broken(world.members[0], "ready", until=world.now + 10))
    world.second()
    world.feed(c.violation(world.now - 500))
    return world


def test_an_outage_of_a_member_is_left_to_placement() -> None:
    world = outage()
    world.seconds(10)
    assert len(world.ensembles) == 1
    world.register(c.broken(world.members[0], "ready"))
    world.seconds(3)
    world.feed(c.violation(world.now - 500, "cleared"))
    world.seconds(30)
    assert len(world.ensembles) == 1


def test_an_outage_that_lasts_is_answered_by_a_trial() -> None:
    world = outage()
    world.seconds(PARAMS.patience_ms // 1000 - 2)
    assert len(world.ensembles) == 1
    world.seconds(4)
    assert trials(world)


def test_what_is_violated_after_an_outage_is_answered_when_it_had_time_to_recover() -> None:
    world = outage()
    world.seconds(5)
    world.register(c.broken(world.members[0], "ready"))
    world.seconds(PARAMS.recovery_ms // 1000)
    assert len(world.ensembles) == 1
    world.seconds(2)
    assert trials(world)


def test_when_no_service_is_left_the_ensemble_is_empty_and_says_so() -> None:
    world = started()
    for name in c.DECLARED:
        world.remove(c.service(name))
    world.seconds(3)
    assert world.ensembles[-1].members == ()
    assert "no service is left" in world.ensembles[-1].reason
    assert len(world.ensembles) == 2
    world.register(c.service("mlp"))
    world.seconds(3)
    assert world.members == ("mlp",)


def test_an_application_that_is_removed_lets_its_services_go() -> None:
    world = started()
    world.remove(c.application())
    world.now += 1000
    world.feed()
    assert set(world.demands.values()) == {0}
    assert len(world.ensembles) == 1
    world.now += 1000
    assert not world.feed()


def test_a_stricter_contract_is_answered_and_registering_the_same_again_is_not() -> None:
    world = started()
    world.register(c.contract(event_id="again"))
    world.seconds(5)
    assert len(world.ensembles) == 1
    world.register(c.contract(threshold=0.97))
    world.seconds(5)
    assert len(world.ensembles) == 2
    assert world.ensembles[-1].predicted_accuracy >= 0.97


def test_in_mode_observe_nothing_is_decided() -> None:
    world = World(None, c.contract(), c.policy("observe"))
    world.seconds(10)
    assert not world.out
    world.register(c.policy("act", f"select/{c.APP}"))
    world.seconds(2)
    assert len(world.ensembles) == 1


def test_it_goes_on_from_the_selection_that_the_catalogue_holds() -> None:
    world = started()
    newest = world.ensembles[-1]
    world.processor = spec().build(c.PARTITION)
    world.register(newest)
    world.seconds(10)
    assert world.ensembles == [newest]
    world.feed(c.drift(newest.members[0].service, world.now))
    assert world.ensembles[-1].generation == newest.generation + 1


def test_applications_of_other_partitions_are_left_alone() -> None:
    world = World(None, c.contract())
    world.processor = spec().build((c.PARTITION + 1) % 4)
    world.seconds(10)
    assert not world.out


def test_a_restart_in_the_middle_of_a_trial_changes_nothing() -> None:
    one, other = blurred(), blurred()
    again = spec().build(c.PARTITION)
    again.restore(other.processor.snapshot())
    other.processor = again
    one.seconds(10)
    other.seconds(10)
    assert one.out == other.out


def test_generations_rise_and_ids_differ() -> None:
    world = blurred()
    world.seconds(60)
    generations = [e.generation for e in world.ensembles]
    assert generations == list(range(1, len(generations) + 1))
    ids = [e.event_id for e in world.out if isinstance(e, EnsembleSelected | PlacementRequested)]
    assert len(set(ids)) == len(ids)


def test_parameters_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidParameters, match="trial_min"):
        spec(SelectParams(trial_min=0))
