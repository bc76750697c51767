"""Who is selected is asked: every algorithm, chosen while both run, from select to the router."""

from dataclasses import replace
from typing import Any

import pytest

from processors.selecting.own import OWN, PLANNERS
from processors.selecting.selection import spec
from schemas.base import Event
from schemas.decisions import EnsembleSelected
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from tests.unit.processors import routing_world as w
from tests.unit.processors import selecting_cases as c

SCORES = (KeyValue(key="metric.accuracy", value="rprod 1 0 1 max linear"),)
"""With it `aggregate` takes as many as there may be."""


def chosen_by(how: str, name: str) -> Event:
    """Return what lets an algorithm select: a policy of the application, or the contract."""
    if how == "contract":
        return c.contract(algorithm=name)
    return PolicySelected(
        scope=f"select/{c.APP}" + ("/clinic" if how == "consumer" else ""),
        component="select",
        algorithm=name,
        parameters=SCORES if name == "aggregate" else (),
        selected_at=c.T0,
        event_id=f"by-{how}-{name}",
    )


def router_of(*selected: EnsembleSelected) -> w.World:
    """Return a router that knows all services, an instance of each, and these selections."""
    services = [c.service(name) for name in c.DECLARED]
    instances = [w.instance(name, f"node-{name}") for name in c.DECLARED]
    return w.World(w.catalogue(c.application(), *services, *instances, *selected))


def asks(router: w.World, chosen: EnsembleSelected, number: int, consumer: str = "") -> None:
    """Check that the next request asks the members, and weighs their votes as was selected."""
    request = w.request(number, app=c.APP, consumer=consumer)
    tasks = w.tasks(router.step(number, request))
    members = {m.service: m.weight for m in chosen.members if m.role == "member"}
    assert {t.service for t in tasks if not t.shadow} == set(members)
    assert {t.generation for t in tasks} == {chosen.generation}
    (answer,) = w.responses(router.step(number, *(w.result(task) for task in tasks)))
    assert answer.status == "complete"
    assert {m.service: m.weight for m in answer.members} == pytest.approx(members)


@pytest.mark.parametrize("how", ["policy", "contract", "consumer"])
@pytest.mark.parametrize("name", OWN)
def test_the_router_asks_whom_the_algorithm_in_force_has_selected(name: str, how: str) -> None:
    clinic = replace(c.contract(), contract="clinic", consumer="clinic", event_id="clinic")
    of = c.World(None, c.contract(), *([clinic] if how == "consumer" else []))
    of.seconds(3)
    consumer = "clinic" if how == "consumer" else ""
    before = [e for e in of.ensembles if e.consumer == consumer][-1]
    assert before.algorithm == "weir"
    router = router_of(*of.ensembles)
    asks(router, before, 0, consumer)
    of.register(chosen_by(how, name))
    of.seconds(3)
    after = [e for e in of.ensembles if e.consumer == consumer][-1]
    assert after.algorithm == name
    router.learn(after)
    asks(router, after, 1, consumer)
    assert not [e for e in of.ensembles if e.consumer != consumer and e.algorithm != "weir"]


@pytest.mark.parametrize("name", PLANNERS)
def test_a_plan_is_carried_out_on_its_nodes_and_moves_when_another_is_quicker(name: str) -> None:
    of = c.World(None, c.contract(algorithm=name, max_members=1))
    of.seconds(3)
    assert {m.node for m in of.ensembles[-1].members} == {""}, "nothing was observed anywhere"
    for quicker, promised in (("west", 0.81), ("east", 0.82)):
        seen = [
            c.observation(
                *("latency", of.now + at, 3.0 if node == quicker else 30.0),
                count=4_000 if promised > 0.81 else 40,
                service=service,
                instance=f"{service}.{node}",
                node=node,
            )
            for service in c.DECLARED
            for node in ("east", "west")
            for at in (0, 1_000, 2_000)
        ]
        of.now += 60_000
        of.feed(*seen)
        of.register(c.contract(promised, algorithm=name, max_members=1))
        of.seconds(3)
        chosen = of.ensembles[-1]
        assert [(m.node, m.role) for m in chosen.members] == [(quicker, "member")]
        router = router_of(chosen)
        router.learn(*(w.instance(s, node) for s in c.DECLARED for node in ("east", "west")))
        (task,) = w.tasks(router.step(0, w.request(app=c.APP)))
        assert task.instance == f"{chosen.members[0].service}.{quicker}"


def test_algorithms_differ_in_whom_they_select() -> None:
    """That every algorithm is heeded says something only where they disagree."""
    found = set()
    for name in OWN:
        of = c.World(None, c.contract(), chosen_by("policy", name))
        of.seconds(3)
        found.add(tuple(sorted(of.members)))
    assert len(found) >= 5


def test_the_router_asks_whom_a_selector_of_others_has_selected() -> None:
    class Dearest:
        def rank(self, problem: Any) -> list[list[str]]:
            return [[max(problem.candidates, key=lambda one: one.cost).service]]

    of = c.World(None, c.contract(), chosen_by("policy", "dearest"))
    of.processor = spec(plugins={"dearest": Dearest()}).build(c.PARTITION)
    of.seconds(3)
    assert of.members == ("svm",)
    asks(router_of(of.ensembles[-1]), of.ensembles[-1], 0)
