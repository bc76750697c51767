"""One clear line for everything that may be wrong in a scenario."""

import json
import math
from typing import Any

import jsonschema
import pytest

from tests.unit.workers.simulation.scenarios_made import content, service
from workers.simulation.errors import ScenarioRefused
from workers.simulation.reading import scenario_of
from workers.simulation.scenario import Scenario

CONSTANT = {"kind": "constant", "ms": 4}


def refusal(wrong: Any) -> str:
    with pytest.raises(ScenarioRefused) as caught:
        scenario_of(wrong, "load.yaml")
    text = str(caught.value)
    assert text.startswith("load.yaml: ")
    assert "\n" not in text
    return text.removeprefix("load.yaml: ")


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"budgt_ms": 3}, "services[0].budgt_ms", "did you mean 'budget_ms'?"),
        ({"budget_ms": math.nan}, "services[0].budget_ms", "a finite number"),
        ({"budget_ms": math.inf}, "services[0].budget_ms", "a finite number"),
        ({"budget_ms": -3}, "services[0].budget_ms", "greater than 0"),
        ({"budget_ms": 0}, "services[0].budget_ms", "greater than 0"),
        ({"budget_ms": "20"}, "services[0].budget_ms", "without quotes"),
        ({"budget_ms": True}, "services[0].budget_ms", "a valid number"),
        ({"value": -1}, "services[0].value", "greater than or equal to 0"),
        ({"priority": 1.5}, "services[0].priority", "a whole number"),
        ({"priority": -1}, "services[0].priority", "greater than or equal to 0"),
        ({"name": ""}, "services[0].name", "letters, digits"),
        ({"queue": {"tasks": 0}}, "services[0].queue.tasks", "greater than or equal to 1"),
        ({"queue": {"taks": 2}}, "services[0].queue.taks", "known are tasks, work_ms"),
        ({"queue": {"drop": "some"}}, "services[0].queue.drop", "'oldest', 'newest'"),
        ({"queue": 3}, "services[0].queue", "a table of fields"),
        ({"arrivals": {"kind": "odd"}}, "services[0].arrivals.kind", "'odd' is unknown"),
        ({"arrivals": {"every_ms": 1}}, "services[0].arrivals", "`kind` says which"),
        (
            {"arrivals": {"kind": "poisson", "rate": 1}},
            "services[0].arrivals.rate_per_s",
            "it is missing; add it; the key 'rate' is unknown",
        ),
        (
            {"arrivals": {"kind": "periodic", "evry_ms": 4}, "budgt_ms": 3},
            "services[0].arrivals.every_ms",
            "it is missing; rename the unknown key 'evry_ms'",
        ),
        (
            {"arrivals": {"kind": "poisson", "rate_per_s": 1, "rte": 1}},
            "services[0].arrivals.rte",
            "known are kind, rate_per_s",
        ),
        (
            {"arrivals": {"kind": "jittered", "every_ms": 4, "jitter_ms": 3}},
            "services[0].arrivals",
            "at most half",
        ),
        (
            {"arrivals": {"kind": "bursts", "every_ms": 4, "size": 3, "spacing_ms": 3}},
            "services[0].arrivals",
            "ends before the next",
        ),
        ({"arrivals": {"kind": "trace"}}, "services[0].arrivals", "either at_ms"),
        ({"arrivals": {"kind": "trace", "at_ms": [3, 1]}}, "services[0].arrivals", "sort"),
        ({"arrivals": {"kind": "trace", "file": "a"}}, "services[0].arrivals", "give at_ms"),
        (
            {"service_time": {"kind": "uniform", "low_ms": 3, "high_ms": 2}},
            "services[0].service_time",
            "at least low_ms",
        ),
        ({"batch": {"max": 4, "preferred": [8]}}, "services[0].batch", "at most max"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_do(
    fields: dict[str, Any], field: str, told: str
) -> None:
    text = refusal(content(service(**fields)))
    assert text.startswith(field)
    assert told in text


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([], "a scenario is a table of fields"),
        (None, "a scenario is a table of fields"),
        (content(), "services: it is [] and should be a list with at least one entry"),
        (content(service(), service()), "two services are called 'one'"),
        (content(service() | {3: 4}), "services[0]: key 3 is no text; quote it"),
        (content(service(), version=2), "version: it is 2 and should be 1"),
        (content(service(), seed=-1), "seed: it is -1"),
        (content(service(), duration_ms=1e9), "shorten duration_ms"),
        (content(service(), services="x"), "services: it is 'x' and should be a list"),
        (content(service(), pauses={"every_ms": 5, "for_ms": 5}), "nothing would ever come"),
        (content(service(), heat={"points": []}), "heat.points: it is []"),
        (
            content(service(), heat={"points": [{"at_ms": 5, "factor": 1}] * 2}),
            "heat.points: at_ms ascends",
        ),
        ({"name": "x", "services": [service()]}, "duration_ms: it is missing; add it"),
        (
            {"name": "x", "duration": 9.0, "services": [service()]},
            "duration_ms: it is missing; rename the unknown key 'duration'",
        ),
    ],
)
def test_a_wrong_scenario_is_refused(wrong: Any, told: str) -> None:
    assert told in refusal(wrong)


def test_a_recording_is_read_by_whoever_can_reach_it() -> None:
    plain = content(service(arrivals={"kind": "trace", "file": "instants.txt"}))
    read = {"instants.txt": [1.0, 2.5]}
    scenario = scenario_of(plain, "load.yaml", lambda file, _: read[file])
    assert scenario.services[0].arrivals.at_ms == (1.0, 2.5)  # type: ignore[union-attr] # a trace
    with pytest.raises(ScenarioRefused, match=r"arrivals.file: instants.txt: .*sort them"):
        scenario_of(plain, "load.yaml", lambda *_: [2.0, 1.0])
    with pytest.raises(ScenarioRefused, match=r"instants.txt: at_ms\[1\]: it is -1.0 and should"):
        scenario_of(plain, "load.yaml", lambda *_: [0.0, -1.0])


def test_the_schema_takes_what_is_taken_and_refuses_unknown_keys() -> None:
    schema = json.loads(json.dumps(Scenario.model_json_schema()))
    judge = jsonschema.Draft202012Validator(schema)
    full = content(
        service(
            queue={"tasks": 3, "drop": "replace-by-key"},
            batch={"max": 4, "preferred": [2, 4]},
            service_time={"kind": "batch", "fixed_ms": 2, "per_item_ms": 1},
        ),
        heat={"shape": "steps", "points": [{"at_ms": 0, "factor": 2}]},
        pauses={"every_ms": 50, "for_ms": 10},
        worker={"guard": False},
    )
    scenario_of(full, "full")
    assert judge.is_valid(full)
    assert not judge.is_valid(full | {"sed": 3})
    assert not judge.is_valid(content(service(queue={"tasks": 0})))
