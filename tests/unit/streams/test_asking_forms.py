"""Consumers with tokens, and inputs of one request as people give them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.graphs import Stage, TensorSpec
from schemas.registrations import ApplicationRegistered
from streams.errors import RegistrationError
from streams.forms.consumers import registered, with_token, without_token
from streams.given_inputs import read
from workers.gateway.access import digest_of
from workers.sources.forms import Form

FORM = Form(tensor="x")


def application(*specs: TensorSpec) -> ApplicationRegistered:
    stage = Stage(stage="s", stage_id="s", takes=specs)
    return ApplicationRegistered(
        app="a",
        app_id="a",
        run="",
        user="",
        owner="",
        stages=(stage,),
        registered_at=0,
        event_id="e",
    )


def test_a_token_is_known_by_its_digest_alone_and_outlives_registrations() -> None:
    plain = {"consumer": "desk", "rate_per_s": 2.0}
    first = registered(plain, {}, 1)
    assert registered(plain, {"desk": first}, 2).event_id == first.event_id
    given, token = with_token(first, 3)
    assert token not in repr(given)
    assert given.token_sha256 == digest_of(token)
    assert given.event_id != first.event_id
    again = registered(plain | {"priority": 4}, {"desk": given}, 5)
    assert (again.token_sha256, again.priority) == (given.token_sha256, 4)
    assert with_token(given, 6)[1] != token
    assert without_token(given, 7).event_id == first.event_id


@pytest.mark.parametrize(
    "wrong",
    [{"rate_per_s": 0.0}, {"rate_per_s": float("nan")}, {"share": 0.0}, {"burst": -1}],
)
def test_a_consumer_that_could_never_ask_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RegistrationError, match="desk"):
        registered({"consumer": "desk", **wrong}, {}, 1)


def test_inputs_come_as_text_and_in_files(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.save(tmp_path / "one.npy", array)
    np.savez(tmp_path / "two.npz", a=array, b=array[0])
    (tmp_path / "body.json").write_text(json.dumps({"inputs": {"z": [1, 2]}}))
    (tmp_path / "list.json").write_text("[[0.5]]")
    Image.fromarray(array).save(tmp_path / "picture.png")
    app = application()
    told = {
        text: [(one.name, one.dtype, one.shape) for one in read([text], app, FORM)]
        for text in (
            "[0, 5]",
            "y=[true]",
            *(f"{tmp_path}/{name}" for name in ("one.npy", "two.npz", "body.json", "list.json")),
            f"frame={tmp_path}/picture.png",
        )
    }
    assert list(told.values()) == [
        [("x", "float32", (2,))],
        [("y", "bool", (1,))],
        [("x", "uint8", (2, 3))],
        [("a", "uint8", (2, 3)), ("b", "uint8", (3,))],
        [("z", "float32", (2,))],
        [("x", "float32", (1, 1))],
        [("frame", "uint8", (2, 3))],
    ]
    small = replace(FORM, scaled=True)
    (picture,) = read([f"{tmp_path}/picture.png"], app, small)
    assert picture.dtype == "float32"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nothing", "neither JSON nor a file"),
        ("gone.npy", "No such file"),
        ("gone.npz", "no npz"),
        ("gone.json", "No such file"),
        ("[" * 100_000, "neither JSON"),
        ("x=[1, [2]]", "inputs.x"),
        ("y=[1, 2, 3]", "input x is missing"),
        ("x=[1, 2]", "it is x: float32 2"),
    ],
)
def test_inputs_that_cannot_be_say_why(text: str, why: str) -> None:
    app = application(TensorSpec(name="x", dtype="float32", shape=(3,)))
    with pytest.raises(RegistrationError, match=why):
        read([text], app, FORM)
