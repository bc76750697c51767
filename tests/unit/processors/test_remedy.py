"""When remedies act and when they let be: modes, freezes, rests, limits, fights, who is gone."""

from dataclasses import replace

import pytest

from processors.remedying.base import unpaired
from processors.remedying.findings import answers, found
from processors.remedying.ledger import FINDINGS
from processors.remedying.remedy import RemedyParams, spec
from schemas.authority import DRAIN, standing
from schemas.base import Event
from schemas.quality import RemedyDefined
from tests.unit.processors import remedy_world as w

KNOWN: tuple[Event, ...] = (w.service(max_replicas=6), w.selected("s"), w.placed("s", "a"))


def test_in_mode_recommend_it_is_told_what_would_be_done_and_nothing_is() -> None:
    run = w.Run(*KNOWN, w.defined("scale"), mode="recommend")

    run.at(1_000, w.verdict(1_000)).during(2_000, 5_000)

    (said,) = run.said()
    assert (said.status, said.kind) == ("recommended", "remedy.scale")
    assert "s from 1 to 2 copies" in said.reason
    assert run.log.events("weir.control") == []


def test_in_mode_observe_nothing_is_said_but_an_application_may_have_its_own() -> None:
    run = w.Run(*KNOWN, w.defined("scale"), w.policy("remediate", "observe"))
    run.at(1_000, w.verdict(1_000)).during(2_000, 5_000)
    assert run.said() == []

    run.at(6_000, w.policy(f"remediate/{w.APP}", "act", 6_000)).during(7_000, 8_000)
    assert [one.status for one in run.said()] == ["done"]


def test_a_freeze_stops_deeds_until_it_ends_and_is_said_once() -> None:
    run = w.Run(*KNOWN, w.defined("scale"), w.policy("freeze", state="on", reason="repairs"))
    run.at(1_000, w.verdict(1_000)).during(2_000, 30_000)
    (refused,) = run.said()
    assert (refused.status, refused.policy) == ("refused", "freeze")
    assert "repairs" in refused.reason

    run.at(31_000, w.policy("freeze", at=31_000, state="off")).during(32_000, 45_000)
    assert [one.status for one in run.said("remedy.scale")] == ["refused", "done"]


def test_what_did_not_help_is_tried_again_after_ever_longer_rests() -> None:
    run = w.Run(*KNOWN, w.defined("scale", cooldown_ms=30_000, verify_ms=10_000))
    run.at(1_000, w.verdict(1_000)).during(2_000, 150_000)

    done = [one.taken_at - w.T0 for one in run.said("remedy.scale") if one.status == "done"]
    assert done[:3] == [1_000, 31_000, 91_000]
    assert len({one.event_id for one in run.said()}) == len(run.said())


def test_a_target_rests_whichever_remedy_acted_so_that_two_cannot_fight() -> None:
    up = w.defined("scale", name="up", rule="slow")
    down = w.defined("scale", name="down", rule="idle", parameters=w.pairs(by="-1"))
    run = w.Run(w.service(max_replicas=6), w.selected("s"), w.placed("s", "ab"), up, down)

    run.at(1_000, w.verdict(1_000)).at(1_500, w.verdict(1_500, rule="idle"))
    run.during(2_000, 4_000)

    assert run.placement().replicas == 3
    (refused,) = [one for one in run.said("remedy.scale") if one.status == "refused"]
    assert "service/s rests after up" in refused.reason


def test_what_helped_is_not_turned_into_its_opposite_within_the_hour() -> None:
    up = w.defined("scale", name="up", rule="slow", cooldown_ms=1_000, verify_ms=2_000)
    down = w.defined("scale", name="down", rule="idle", parameters=w.pairs(by="-1"))
    run = w.Run(w.service(max_replicas=6), w.selected("s"), w.placed("s", "ab"), up, down)
    run.at(1_000, w.verdict(1_000)).at(2_000, w.verdict(2_000, "healthy")).during(3_000, 5_000)
    assert run.said("remedy.verified")[0].helped is True

    run.at(6_000, w.verdict(6_000, rule="idle"))

    assert "with success" in run.said("remedy.scale")[-1].reason
    assert run.said("remedy.scale")[-1].status == "refused"


def test_no_more_actions_an_hour_than_are_allowed() -> None:
    many = w.defined("scale", max_per_hour=2, cooldown_ms=0, verify_ms=0)
    run = w.Run(
        *[w.service(n, max_replicas=4) for n in "stu"],
        *[w.placed(n, "a") for n in "stu"],
        w.selected(*"stu"),
        many,
    )
    run.at(1_000, *[w.verdict(1_000, service=n) for n in "stu"])

    assert [one.status for one in run.said("remedy.scale")] == ["done", "done", "refused"]
    run.during(3_601_000, 3_612_000)
    later = run.said("remedy.scale")[3:]
    assert [(one.target, one.status) for one in later[:2]] == [("u", "done"), ("s", "done")]
    assert {one.status for one in later[2:]} == {"refused"}


def test_a_target_that_is_gone_is_refused_and_one_that_goes_is_not_undone() -> None:
    run = w.Run(*KNOWN, w.defined("scale", undo=True))
    run.at(1_000, w.verdict(1_000, service="t", rule="other"))
    assert "t is no longer registered" in run.said()[0].reason

    run.at(2_000, w.verdict(2_000)).at(3_000)
    run.log.produce_raw("weir.services", None, b"s")
    run.during(4_000, 25_000)
    undone = run.said("remedy.undone")[0]
    assert undone.status == "failed"
    assert "s is gone" in undone.reason


def test_what_was_asked_for_and_did_not_come_is_told_as_failed() -> None:
    run = w.Run(*KNOWN, w.defined("scale"), w.policy(f"place/{w.APP}", "recommend"))

    run.at(1_000, w.verdict(1_000)).during(2_000, 22_000)

    (judged,) = run.said("remedy.verified")
    assert (judged.status, judged.helped) == ("failed", None)
    assert "the mode of place is recommend" in judged.reason


def test_a_drift_is_answered_once_and_helped_when_its_metric_comes_back() -> None:
    mend = w.defined("replace", on="drift", parameters=w.pairs(of="node"), undo=True)
    known = (w.service(), w.placed("s", "ab"), w.selected("s"), mend)
    for after, helped in ((0.15, True), (0.38, False)):
        run = w.Run(*known)
        run.at(1_000, replace(w.drift(1_000), node="a"))
        for now in range(3_000, 22_000, 1_000):
            run.at(now, w.window(now, after, "error"))
        (judged,) = run.said("remedy.verified")
        assert judged.helped is helped
        drained = standing(run.log.catalogue(), f"{DRAIN}a") is not None
        assert drained is helped
        run.during(22_000, 400_000, 20_000)
        assert len(run.said("remedy.replace")) == 1


def test_no_more_than_a_third_of_the_nodes_drain() -> None:
    mend = w.defined("replace", parameters=w.pairs(of="node"), cooldown_ms=0, verify_ms=0)
    run = w.Run(w.service(), w.placed("s", "ab"), mend)

    for number, node in enumerate("abcz"):
        run.at(1_000 + number, w.verdict(1_000 + number, node=node, service="", rule=node))

    assert [one.status for one in run.said("remedy.replace")] == ["done"] + ["refused"] * 3
    assert "z is gone" in run.said("remedy.replace")[-1].reason


def test_what_is_silenced_causes_nothing_and_stops_what_is_notified() -> None:
    run = w.Run(w.defined("notify", verify_ms=0), w.defined("scale", name="up"), *KNOWN)
    run.at(1_000, w.verdict(1_000, rule="quiet", silenced_by="night"))
    assert run.said() == []

    run.at(2_000, w.verdict(2_000)).at(3_000, w.verdict(3_000, silenced_by="night"))
    states = [unpaired(one.parameters)["state"] for one in run.said("remedy.notify")]
    assert states == ["firing", "resolved"]


def test_people_are_told_when_it_begins_when_it_gets_worse_and_when_it_is_over() -> None:
    run = w.Run(w.defined("notify", verify_ms=0, parameters=w.pairs(receiver="webhook")))
    run.at(1_000, w.verdict(1_000, severity="warning")).at(2_000, w.verdict(2_000))
    run.at(3_000, w.verdict(3_000)).at(4_000, w.verdict(4_000, "healthy"))

    told = [unpaired(one.parameters) for one in run.said("remedy.notify")]
    assert [(one["state"], one["severity"]) for one in told] == [
        ("firing", "warning"),
        ("firing", "critical"),
        ("resolved", "critical"),
    ]
    assert len({one["finding"] for one in told}) == 1
    assert told[0]["receiver"] == "webhook"

    run.at(5_000, w.verdict(5_000)).during(6_000, 30_000)
    assert len(run.said("remedy.notify")) == 3
    run.during(31_000, 70_000)
    assert len(run.said("remedy.notify")) == 4


def test_findings_are_bounded_and_who_is_let_go_is_told() -> None:
    run = w.Run(w.defined("notify", verify_ms=0))
    run.at(1_000, *[w.verdict(1_000, rule=f"rule {n}") for n in range(FINDINGS + 2)])

    (one, other) = run.said("remedy.forgotten")
    assert "rule 0" in one.reason
    assert "rule 1" in other.reason
    resolved = [
        a for a in run.said("remedy.notify") if unpaired(a.parameters)["state"] == "resolved"
    ]
    assert len(resolved) == 2


def test_a_wrong_remedy_is_refused_once_and_not_followed() -> None:
    run = w.Run(*KNOWN, w.defined("juggle"), w.defined("scale", name="up"))
    run.at(1_000, w.verdict(1_000)).during(2_000, 4_000)

    (refused,) = run.said("definition.refused")
    assert (refused.target, refused.status) == ("mend", "refused")
    assert "'juggle' is none of" in refused.reason
    assert [one.policy for one in run.said("remedy.")] == ["up"]


def test_a_crash_between_two_batches_changes_nothing() -> None:
    def played(*, crashes: bool) -> list[Event]:
        run = w.Run(*KNOWN, w.defined("scale", undo=True))
        for now in range(1_000, 40_000, 1_000):
            if crashes:
                run.host.crash("remedy")
            run.at(now, *([w.verdict(now)] if now in (1_000, 30_000) else []))
        return run.log.events("weir.actions")

    assert played(crashes=True) == played(crashes=False)


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"app": "other"}, False),
        ({"service": "s", "metric": "latency"}, True),
        ({"service": "t"}, False),
        ({"node": "a"}, False),
        ({"tier": "anomaly"}, False),
        ({"min_severity": "critical"}, True),
        ({"on": "drift"}, False),
        ({"causes": ("node",)}, False),
        ({"stopped": True}, False),
    ],
)
def test_a_remedy_answers_what_is_in_its_scope(change: dict[str, object], fits: bool) -> None:
    remedy: RemedyDefined = w.defined("scale", **{"on": "quality", **change})
    finding = found(w.verdict(0), None, 0)
    assert finding is not None
    assert answers(remedy, finding) is fits


def test_a_violation_is_in_the_scope_of_whoever_is_blamed_most() -> None:
    finding = found(w.violated(0, blamed="s"), None, 0)
    assert finding is not None
    assert answers(w.defined("scale", on="violation", service="s"), finding)
    assert not answers(w.defined("scale", on="violation", service="t"), finding)
    mild = w.defined("scale", on="violation", min_severity="critical")
    assert not answers(mild, finding)


@pytest.mark.parametrize(
    "event",
    [
        w.drift(0, before=0.4, after=0.1),
        replace(w.drift(0), status="warning"),
        w.verdict(0, "healthy"),
        w.violated(0, "cleared"),
    ],
)
def test_what_is_good_or_not_sure_is_no_finding(event: Event) -> None:
    assert found(event, None, 0) is None


def test_a_look_needs_a_time() -> None:
    with pytest.raises(Exception, match="look_ms"):
        spec(RemedyParams(look_ms=0))


def test_what_begins_after_an_action_waits_until_that_is_verified() -> None:
    up = w.defined("scale", name="up", rule="slow", verify_ms=10_000)
    other = w.defined("scale", name="other", rule="late", verify_ms=10_000)
    services = [w.service(n, max_replicas=4) for n in "st"]
    run = w.Run(*services, w.placed("s", "a"), w.placed("t", "a"), w.selected(*"st"), up, other)

    run.at(1_000, w.verdict(1_000)).at(3_000, w.verdict(3_000, service="t", rule="late"))
    (waits,) = [one for one in run.said() if one.policy == "other"]
    assert "began after up acted on service/s" in waits.reason

    run.during(4_000, 12_000)
    assert run.said("remedy.scale")[-1].target == "t"
    assert run.said("remedy.scale")[-1].status == "done"


def test_a_share_of_a_quantile_is_measured_by_that_quantile() -> None:
    fact = w.Fact(what="p95 of latency > 30", observed=90.0, expected=30.0)
    run = w.Run(*KNOWN, w.defined("scale"))
    run.at(1_000, w.verdict(1_000, findings=(fact,)))
    for now in range(3_000, 22_000, 1_000):
        run.at(now, replace(w.window(now, 20.0), p95=88.0))

    (judged,) = run.said("remedy.verified")
    assert judged.helped is False
    assert "it was 90" in judged.reason


def test_a_diagnosis_helped_when_what_it_explains_is_withdrawn() -> None:
    mend = w.defined("replace", tier="diagnosis")
    run = w.Run(w.service(), w.placed("s", "ab"), w.selected("s"), mend)
    symptom = w.verdict(500)
    run.at(500, symptom).at(1_000, w.diagnosed(1_000, "node", "a", (symptom.event_id,)))
    run.at(9_000, w.verdict(9_000, "healthy")).during(10_000, 22_000)

    assert run.said("remedy.verified")[0].helped is True


def test_a_diagnosis_that_explains_nothing_known_helped_when_it_is_withdrawn_itself() -> None:
    mend = w.defined("replace", tier="diagnosis")
    run = w.Run(w.service(), w.placed("s", "ab"), w.selected("s"), mend)
    run.at(1_000, w.diagnosed(1_000, "node", "a", ("an observation",))).during(2_000, 22_000)

    assert run.said("remedy.verified")[0].helped is False
