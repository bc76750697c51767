"""What is told of a graph before the first request: each mistake, with its place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.graphs.checking import problems
from processors.graphs.shape import cycle, earlier_of
from processors.graphs.tensors import unlike
from schemas.base import Event
from schemas.graphs import Condition, Split, Stage, TensorSpec
from schemas.registrations import ApplicationRegistered, ModelPublished, ServiceRegistered
from tests.unit.processors import routing_world as w

IMAGE = TensorSpec(name="x", dtype="float32", shape=(3, 8))
COMBINERS = ("mean", "weighted_vote")


def stage(name: str, **fields: object) -> Stage:
    return Stage(**{"stage": name, "stage_id": name, "services": ("a",)} | fields)  # type: ignore[arg-type]


def application(*stages: Stage, **fields: object) -> ApplicationRegistered:
    made = w.application(stages=stages, **fields)
    assert isinstance(made, ApplicationRegistered)
    return made


def told(*stages: Stage, **fields: object) -> list[str]:
    return [str(one) for one in problems(application(*stages, **fields), combiners=COMBINERS)]


def condition(**fields: object) -> Condition:
    known = {"stage": "one", "on": "confidence", "operator": "<", "threshold": 0.5}
    return Condition(**known | fields)  # type: ignore[arg-type]


def test_a_graph_of_every_kind_has_no_mistake() -> None:
    stages = (
        stage("clean", kind="preprocess", takes=(IMAGE,), gives=(IMAGE,)),
        stage("one", kind="cascade", services=("a", "b"), escalate_below=0.8, inputs=("clean",)),
        stage("two", inputs=("clean",), takes=(IMAGE,), conditions=(condition(),)),
        stage(
            "trial",
            kind="split",
            services=("a", "b", "c"),
            splits=(
                Split(service="a", weight=90),
                Split(service="b", weight=10, role="canary"),
                Split(service="c", weight=5, role="shadow"),
            ),
        ),
        stage("join", inputs=("one", "two"), optional=True, deadline_share=0.5, combine="mean"),
    )
    assert told(*stages) == []


@pytest.mark.parametrize(
    ("stages", "wanted"),
    [
        ((stage("a", inputs=("b",)), stage("b", inputs=("a",))), "stages[0]: stages wait in a"),
        ((stage("a", inputs=("b",)), stage("b")), "stages[0].inputs[0]: 'b' is no earlier stage"),
        ((stage("a"), stage("a")), "stages[1].stage: stages[0] is 'a', too"),
        ((stage("a", inputs=("z",)),), "stages[0].inputs[0]: there is no stage 'z'"),
        ((stage("a", conditions=(condition(),)),), "stages[0].conditions[0].stage: there is no"),
        ((stage("a", kind="magic"),), "stages[0].kind: 'magic' is no kind"),
        ((stage("a", combine="magic"),), "stages[0].combine: there is no combiner 'magic'"),
        ((stage("a", kind="cascade", escalate_below=0.5),), "stages[0].services: a cascade of one"),
        ((stage("a", kind="cascade", services=("a", "b")),), "stages[0].escalate_below: at 0.0"),
        ((stage("a", escalate_below=0.5),), "stages[0].escalate_below: only a cascade"),
        ((stage("a", kind="split"),), "stages[0].splits: nobody has a share"),
        ((stage("a", splits=(Split(service="a", weight=1),)),), "stages[0].splits: a stage of"),
        (
            (stage("a", kind="split", splits=(Split(service="a", weight=0.7),)),),
            "stages[0].splits: the weights of active and canary services add up to 0.7",
        ),
        (
            (stage("a", kind="split", splits=(Split(service="z", weight=1, role="x"),)),),
            "stages[0].splits[0].service: 'z' is no service of this stage",
        ),
        ((stage("a", deadline_share=1.5),), "stages[0].deadline_share: 1.5 is no part"),
        (
            (stage("a", deadline_share=0.7), stage("b", inputs=("a",), deadline_share=0.7)),
            "stages[1].deadline_share: with those before it, it has 1.4",
        ),
        ((stage("a", optional=True),), "stages: all are optional"),
        ((stage("a", takes=(TensorSpec(name="x", dtype="text"),)),), "stages[0]: tensor 'x' has"),
    ],
)
def test_each_mistake_is_told_with_its_place(stages: tuple[Stage, ...], wanted: str) -> None:
    assert any(line.startswith(wanted) for line in told(*stages)), told(*stages)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"on": "mood"}, ".on: nothing is known of 'mood'"),
        ({"operator": "in"}, ".operator: 'in' compares no confidence"),
        ({"threshold": 7.0}, ".threshold: confidence is never 7.0"),
        ({"on": "label", "operator": "in"}, ".labels: no label is named"),
        ({"on": "label", "operator": "in", "labels": ("owl",)}, ".labels: the application has no"),
    ],
)
def test_conditions_that_mean_nothing_are_told(change: dict[str, object], wanted: str) -> None:
    later = stage("two", conditions=(condition(**change),))
    found = told(stage("one"), later, classes=("cat", "dog"))
    assert found
    assert all(line.startswith(f"stages[1].conditions[0]{wanted}") for line in found)


def test_tensors_must_come_from_somewhere_and_fit() -> None:
    first = stage("one", takes=(IMAGE,), gives=(TensorSpec(name="h", dtype="float32", shape=(4,)),))
    nowhere = stage("two", inputs=("one",), takes=(TensorSpec(name="z", dtype="float32"),))
    assert "stages[1].takes[0]: no input gives 'z'; given: x, h" in told(first, nowhere)[0]
    other = TensorSpec(name="h", dtype="int64", shape=(4,))
    (line,) = told(first, stage("two", inputs=("one",), takes=(other,)))
    assert "one gives 'h' as float32 where int64 is taken" in line
    both = stage("three", inputs=("one", "two"))
    assert "one and two both give 'h'" in told(first, stage("two", gives=first.gives), both)[0]


@pytest.mark.parametrize(
    ("shape", "fits"),
    [((3, 8), True), ((1, 3, 8), True), ((-1, 8), True), ((3, 9), False), ((2, 1, 3, 8), False)],
)
def test_shapes_fit_with_free_sizes_and_a_batch(shape: tuple[int, ...], fits: bool) -> None:
    assert (unlike(IMAGE, "float32", shape) == "") is fits


def _service(name: str, **fields: object) -> ServiceRegistered:
    made = w.service(name)
    assert isinstance(made, ServiceRegistered)
    return ServiceRegistered(
        **{key: getattr(made, key) for key in made.__dataclass_fields__} | fields
    )


def _model(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...] = ()) -> ModelPublished:
    return ModelPublished(
        model="net",
        version="3",
        uri="",
        digest="",
        format="onnx",
        inputs=inputs,
        outputs=outputs,
        published_at=0,
        event_id="m",
    )


def test_services_and_models_are_compared_with_the_stage() -> None:
    known = {
        "a": _service("a", model="net"),
        "far": _service("far", app="other"),
        "late": _service("late", stage="elsewhere"),
    }
    whole = stage("classify", services=("a", "far", "late", "zz"), takes=(IMAGE,))
    found = problems(application(whole), known, {})
    assert [(one.where, one.mild) for one in found] == [
        ("stages[0].services[1]", False),
        ("stages[0].services[2]", True),
        ("stages[0].services[3]", True),
    ]
    alone = application(stage("classify", takes=(IMAGE,)))
    pair = (TensorSpec(name="x", dtype="float16", shape=(3, 8)), TensorSpec(name="y", dtype="bool"))
    lines = [str(one) for one in problems(alone, known, {"net": _model(pair)})]
    assert "model net 3, tensor 'x': the stage says float32 where float16 is taken" in lines[0]
    assert "model net 3 needs the tensor 'y'" in lines[1]
    assert (
        problems(alone, known, {"net": _model((TensorSpec(name="input", dtype="float32"),))}) == ()
    )


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3)))
def test_a_cycle_is_found_exactly_when_there_is_no_order(edges: dict[str, list[str]]) -> None:
    left = {name: {n for n in names if n in edges} for name, names in edges.items()}
    while free := [name for name, names in left.items() if not names & left.keys()]:
        left = {name: names for name, names in left.items() if name not in free}
    found = cycle(edges)
    assert bool(found) == bool(left)
    for one, following in zip(found, (*found[1:], *found[:1]), strict=True):
        assert following in edges[one]


def test_earlier_stages_are_inputs_and_what_conditions_look_at() -> None:
    one = stage("c", inputs=("a", "b"), conditions=(condition(stage="b"), condition(stage="d")))
    assert earlier_of(one) == ("a", "b", "d")


def test_events_without_stages_are_no_mistake() -> None:
    made: Event = w.application(stages=())
    assert isinstance(made, ApplicationRegistered)
    assert problems(made) == ()
