"""A remedy asks for another selection; select chooses anew."""

from typing import Any

from processors.selecting import selection
from schemas.authority import RESELECT
from schemas.decisions import EnsembleSelected
from schemas.graphs import Stage
from schemas.registrations import ApplicationRegistered, PolicySelected
from tests.unit.processors import remedy_world as w


def _run(**more: Any) -> w.Run:
    stage = Stage(stage="classify", stage_id="classify", services=("s", "t"))
    app = ApplicationRegistered(
        app=w.APP,
        app_id=w.APP,
        run="",
        user="",
        owner="",
        stages=(stage,),
        registered_at=w.T0,
        event_id="app",
    )
    services = [
        w.service(name, accuracy=accuracy, latency_ms=5.0, cost=1.0)
        for name, accuracy in (("s", 0.9), ("t", 0.8))
    ]
    known = [app, *services, w.policy("select", mode="act")]
    return w.Run(*known, w.defined("reselect", **more), more=(selection.spec(),)).during(0, 3_000)


def _chosen(run: w.Run) -> list[EnsembleSelected]:
    return [e for e in run.log.events("weir.ensembles") if isinstance(e, EnsembleSelected)]


def test_select_chooses_anew_because_a_remedy_asks_for_it() -> None:
    run = _run(min_severity="warning")
    before = len(_chosen(run))

    run.at(4_000, w.verdict(4_000, severity="warning", service="", instance="")).during(
        5_000, 60_000
    )

    asked = run.log.catalogue().get(PolicySelected, f"{RESELECT}{w.APP}")
    assert asked is not None
    after = _chosen(run)[before:]
    assert len(after) >= 1
    assert "another selection is asked for: remedy mend" in after[0].reason
    assert asked.event_id in after[0].causes
    (deed,) = run.said("remedy.reselect")[:1]
    assert deed.target == w.APP


def test_an_application_without_an_ensemble_has_nothing_to_choose_anew() -> None:
    run = w.Run(w.defined("reselect"))

    run.at(1_000, w.verdict(1_000)).during(2_000, 40_000)

    (refused,) = run.said("remedy.reselect")
    assert refused.status == "refused"
    assert "no ensemble" in refused.reason
