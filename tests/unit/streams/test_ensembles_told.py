"""Policies of selection, and algorithms compared, as commands make them; profiles and benches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schemas.catalogue import Catalogue
from schemas.records import KeyValue
from schemas.registrations import InstanceReported, PolicySelected
from streams import ensembles
from streams.bench import ensemble_ocad, ensemble_paired, ensemble_profiles
from streams.bench.ensemble import PARTS
from streams.commands.ensembles import promise_words
from streams.errors import ProfilesError, RegistrationError
from tests.unit.processors import selecting_cases as c
from tests.unit.processors.selecting_cases import World


def known(*more: PolicySelected) -> Catalogue:
    return World(None, c.contract(), *more).catalogue


def test_a_pin_keeps_what_the_policy_says_besides_and_goes_again() -> None:
    before = ensembles.policy(known(), f"select/{c.APP}", "greedy", {"size": "2"}, (), c.T0)
    pinned = ensembles.pin(known(before), c.APP, "", ("svm", "tree"), c.T0)
    told = {p.key: p.value for p in pinned.parameters}
    assert (pinned.algorithm, told) == ("greedy", {"size": "2", "members": "svm,tree"})
    free = ensembles.unpin(known(pinned), c.APP, "", c.T0)
    assert free.parameters == before.parameters
    with pytest.raises(RegistrationError, match="nothing is pinned"):
        ensembles.unpin(known(free), c.APP, "", c.T0)


def test_what_cannot_be_pinned_or_told_is_refused() -> None:
    with pytest.raises(RegistrationError, match="no service of digits 'ghost'"):
        ensembles.pin(known(), c.APP, "", ("ghost",), c.T0)
    with pytest.raises(RegistrationError, match="no application 'letters'"):
        ensembles.pin(known(), "letters", "", ("svm",), c.T0)
    with pytest.raises(RegistrationError, match="no ensemble of its own"):
        ensembles.pin(known(), c.APP, "clinic", ("svm",), c.T0)
    with pytest.raises(RegistrationError, match="caution"):
        ensembles.policy(known(), "select", None, {"caution": "2"}, (), c.T0)


def test_algorithms_are_compared_on_what_was_observed() -> None:
    seen = [
        c.observation("accuracy", c.T0 + 1000 * n, right, service=name)
        for n in range(10)
        for name, right in c.BLURRED.items()
    ]
    view = ensembles.viewed(known(), c.APP, "", c.T0, {})
    found = ensembles.compared(known(), view, seen, ("weir", "accuracy"), {})
    assert "svm" in found["accuracy"].best.services
    assert found["weir"].best.services in {("mlp",), ("svm",)}
    with pytest.raises(RegistrationError, match="no algorithm 'x'"):
        ensembles.compared(known(), view, seen, ("x",), {})


def test_clauses_that_hold_are_told_with_how_far_as_those_that_do_not() -> None:
    late = replace(c.contract().clauses[1], name="mean", statistic="mean", threshold=50.0)
    one = replace(c.contract(), clauses=(*c.contract(threshold=0.999).clauses, late))
    of = World(None, one)
    of.seconds(3)
    found = of.ensembles[-1]
    missed, *held = ensembles.promises(found, [one])
    assert (missed.clause, missed.met) == ("desk/right", False)
    assert missed.spare == pytest.approx(found.predicted_accuracy - 0.999)
    assert [(p.clause, p.met, p.threshold) for p in held] == [
        ("desk/fast", True, 200.0),
        ("desk/mean", True, 50.0),
    ]
    high = next(part.value for part in found.scores if part.objective == "latency")
    assert held[0].predicted == high
    assert held[0].spare == pytest.approx(200.0 - high)
    assert held[1].spare == pytest.approx(50.0 - found.predicted_latency_ms)
    told = f"met: desk/fast: {high:g} where 200 is promised, {200 - high:.3g} to spare"
    assert promise_words(held[0]) == told
    assert promise_words(missed).endswith(" short")
    (_, unsaid, _) = ensembles.promises(replace(found, scores=()), [one])
    assert (unsaid.met, unsaid.predicted) == (True, None)
    assert "does not tell by how much" in promise_words(unsaid)
    later = replace(one, valid_from=found.selected_at + 1)
    assert [p.clause for p in ensembles.promises(found, [later])] == ["desk/right"]
    assert ensembles.promises(replace(found, members=()), [one]) == []


def test_profiles_are_told_with_how_sure_they_are() -> None:
    where = {"svm.a": ("pi-1", 8.0), "svm.b": ("pi-1", 2.0), "svm.c": ("pi-2", 4.0)}
    seen = [
        c.observation("latency", c.T0 + 1000 * n, ms, service="svm", instance=name, node=node)
        for n in range(4)
        for name, (node, ms) in where.items()
    ]
    seen += [c.observation("accuracy", c.T0, 0.9, service="svm", count=900)]
    seen += [c.observation("accuracy.class.3", c.T0, 0.7, service="svm")]
    seen += [c.observation("confidence", c.T0, 0.95, service="svm", instance="svm.a", count=900)]
    seen += [c.observation("energy", c.T0, 0.5, service="svm", instance="svm.a")]
    seen += [c.observation("cost", c.T0, 12.0, service="svm", instance="svm.a")]
    runs = {"svm.a": "fp32", "svm.b": "int8", "svm.c": "fp32"}
    instances = {name: runs_as(name, variant) for name, variant in runs.items()}
    view = ensembles.viewed(known(), c.APP, "", c.T0, {})
    told = ensembles.profiled(view, seen, instances)
    ours = [one for one in told if one["service"] == "svm"]
    parts = {(one["node"], one["variant"], one["instance"]): one for one in ours}
    assert {part: (one["results"], one["p95_ms"]) for part, one in parts.items()} == {
        ("", "", ""): (480, pytest.approx(14 / 3)),
        ("pi-1", "", ""): (320, 5.0),
        ("pi-2", "", ""): (160, 4.0),
        ("", "fp32", ""): (320, 6.0),
        ("", "int8", ""): (160, 2.0),
        ("pi-1", "fp32", "svm.a"): (160, 8.0),
        ("pi-1", "int8", "svm.b"): (160, 2.0),
        ("pi-2", "fp32", "svm.c"): (160, 4.0),
    }
    whole = ours[0]
    right = (900 * 0.9 + 30 * 0.98) / 930
    assert (whole["judged"], whole["accuracy"]) == (900, pytest.approx(right))
    assert whole["error"] == pytest.approx((right * (1 - right) / 930) ** 0.5)
    assert whole["calibration"] == pytest.approx(0.95 - right), "it is surer than it is right"
    assert (whole["energy_j"], whole["cost"]) == (0.5, 12.0), "what is observed, not declared"
    assert whole["classes"] == {"3": 0.7}
    unseen = next(one for one in told if one["service"] == "tree")
    assert unseen["error"] > 3 * whole["error"]
    assert (unseen["p95_ms"], unseen["calibration"]) == (None, None)


def runs_as(name: str, variant: str) -> InstanceReported:
    own = (KeyValue(key="variant", value=variant),)
    return replace(c.broken("svm", health="ready"), instance=name, metadata=own)


def profiles() -> ensemble_profiles.Profiles:
    rates = np.random.default_rng(3).uniform(0.5, 0.98, (4, 4))
    return ensemble_profiles.Profiles(
        models=("a", "b", "c", "d"),
        labels=("cat", "dog", "owl", "fox"),
        rates=rates,
        confidence=rates,
        latency_ms=np.ones((4, 4)),
        costs=np.ones(4),
        devices=(("box", 1.0),),
    )


def test_a_consumer_of_a_class_has_fewer_misses_at_the_accuracy_that_it_asks_for() -> None:
    found = ensemble_ocad.compared(profiles(), 1, draws=2_000)
    ours, plain = found["weir"], found["accuracy"]
    assert ours["target_miss"] < 0.8 * plain["target_miss"]
    assert ours["overall"] >= plain["overall"] - ensemble_ocad.SLACK - 0.01
    assert ours["bound"] <= ours["target_miss"]
    assert len(found["consumers"]) == 8


def test_a_folder_of_profiles_is_read_and_a_bad_one_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfilesError, match=r"holds no \*\.csv"):
        ensemble_profiles.read(tmp_path)
    quality = tmp_path / "inference_quality"
    quality.mkdir()
    head = "class,accuracy,avg_confidence,avg_response_time,class_label\n"
    (quality / "a.csv").write_text(head + "0,0.9,0.9,0.001,cat\n1,0.8,0.7,0.001,dog\n")
    (quality / "b.csv").write_text(head + "0,0.7,0.9,0.002,cat\n1,0.9,0.7,0.002,dog\n")
    (tmp_path / "model2_features.yaml").write_text("m1: {baseCost: 5}\nm2: {baseCost: 7}\n")
    (tmp_path / "performance.csv").write_text("model_id\nB\nA\n")
    read = ensemble_profiles.read(tmp_path)
    assert (read.models, read.labels) == (("a", "b"), ("cat", "dog"))
    assert list(read.costs) == [7.0, 5.0]
    (quality / "b.csv").write_text(head + "0,1.7,0.9,0.002,cat\n1,0.9,0.7,0.002,dog\n")
    with pytest.raises(ProfilesError, match="not within 0 and 1"):
        ensemble_profiles.read(tmp_path)
    (quality / "b.csv").write_text("class\n1\n")
    with pytest.raises(ProfilesError, match="no column accuracy"):
        ensemble_profiles.read(tmp_path)
    (quality / "b.csv").write_text("class,class_label,accuracy,avg_confidence,avg_response_time\n")
    with (quality / "b.csv").open("a") as file:
        file.write("0,cat,0.7\n1,dog,0.9\n")
    with pytest.raises(ProfilesError, match="inference_quality"):
        ensemble_profiles.read(tmp_path)


@pytest.mark.faults
def test_weir_is_late_at_most_half_as_often_as_adaptive_where_it_is_as_accurate() -> None:
    found = ensemble_paired.compared(2, queries=150)
    assert found["weir_earlier"]["accuracy"] >= found["adaptive"]["accuracy"]
    assert 2 * found["weir_earlier"]["late"] <= found["adaptive"]["late"]
    best = found["weir"]
    for name, other in found.items():
        if name not in ("weir", "weir_earlier", "unavoidable"):
            assert other["late"] >= best["late"] or other["accuracy"] <= best["accuracy"], name


def test_every_part_is_there() -> None:
    assert {"selection", "ocad", "paired"} <= set(PARTS)
