"""Files of remedies: what they become, and every mistake with its place."""

from pathlib import Path
from typing import Any

import pytest

from processors.remedying.actions import ACTIONS
from streams.errors import RegistrationError
from streams.forms import remedies

FILE = """
app = "shop"
[[remedies]]
name = "more"
on = "violation"
metric = "response_latency"
action = "scale"
parameters = { by = 2 }
cooldown = "5m"
verify = "30s"
undo = true
[[remedies]]
name = "tell"
app = ""
on = "quality"
tier = "diagnosis"
causes = ["node"]
action = "notify"
"""


def _read(tmp_path: Path, text: str) -> list[Any]:
    file = tmp_path / "remedies.toml"
    file.write_text(text, "utf-8")
    return remedies.read(file, ACTIONS, "ann", 1_000)


def test_a_file_becomes_remedies_of_stable_ids(tmp_path: Path) -> None:
    more, tell = _read(tmp_path, FILE)

    assert (more.app, more.cooldown_ms, more.verify_ms, more.undo) == (
        "shop",
        300_000,
        30_000,
        True,
    )
    assert [(entry.key, entry.value) for entry in more.parameters] == [("by", "2")]
    assert (tell.app, tell.owner, tell.causes) == ("", "ann", ("node",))
    assert [one.event_id for one in _read(tmp_path, FILE)] == [more.event_id, tell.event_id]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"action": "juggle"}, "action: 'juggle' is none of notify, replace, reselect"),
        ({"on": "weather"}, "on: 'weather' is none of quality, drift, violation"),
        ({"colour": "red"}, "RemedyDefined has no field colour"),
        ({"cooldown": "soon"}, "cooldown: 'soon' is no time"),
        ({"cooldown_ms": -1}, "cooldown_ms: -1 is not within 0 and"),
        ({"undo": True}, "undo: it is undone when it did not help, and verify_ms says when"),
        ({"parameters": {"by": "0"}}, "parameters: by is '0'; it must be from -100 to 100, not 0"),
        ({"parameters": {"to": "3"}}, "parameters.to: scale has no such parameter; known: by"),
        ({"parameters": {"by": [1]}}, "parameters.by: it must be text or a number"),
        ({"action": "retrain"}, "on: retrain answers drifts alone"),
        ({"tier": "gold"}, "tier: 'gold': only quality has tiers"),
        ({"min_severity": "dire"}, "min_severity: 'dire' is none of info, warning, critical"),
        ({"name": "a b"}, "name: 'a b' will not do"),
        ({"action": "notify", "parameters": {"receiver": "pigeon"}}, "'pigeon' is none of webhook"),
        ({"action": "notify", "verify_ms": 5}, "verify_ms: a notification mends nothing"),
        ({"registered_at": 5}, "registered_at: it is Weir's to fill in"),
    ],
)
def test_a_mistake_is_told_with_its_place(change: dict[str, Any], told: str) -> None:
    table = {"name": "more", "on": "quality", "action": "scale"} | change
    content = {"remedies": [{"name": "right", "on": "quality", "action": "scale"}, table]}

    with pytest.raises(RegistrationError) as caught:
        remedies.made(content, "shop.toml", ACTIONS, "", 0)

    assert f"shop.toml, remedies[1] ({table['name']}): " in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize("content", [[], {}, {"remedies": []}, {"remedies": {}}, {"remedy": [{}]}])
def test_what_is_no_file_of_remedies_says_what_one_is(content: Any) -> None:
    with pytest.raises(RegistrationError, match="with a list `remedies`"):
        remedies.made(content, "x.toml", ACTIONS, "", 0)


def test_remedies_that_turn_each_others_work_are_warned_of() -> None:
    def scale(name: str, by: int, **more: Any) -> dict[str, Any]:
        return {"name": name, "on": "quality", "action": "scale", "parameters": {"by": by}} | more

    content = {"remedies": [scale("up", 1), scale("down", -1), scale("far", -1, service="t")]}
    content["remedies"].append(scale("own", 1, service="s"))
    found = remedies.made(content, "x.toml", ACTIONS, "", 0)

    told = [line.partition(" scale")[0] for line in remedies.fights(found, {})]
    assert told == ["down and own", "down and up", "far and up"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("1: 2", "remedies; leave it out"),
        ("remedies: [{name: a, on: quality, action: notify, 1: 2}]", "RemedyDefined has no field"),
        (
            "remedies: [{name: a, on: quality, action: notify, parameters: {1: [], b: []}}]",
            "parameters.1: it must be text or a number",
        ),
    ],
)
def test_names_that_are_numbers_are_mistakes_too(tmp_path: Path, more: str, told: str) -> None:
    file = tmp_path / "remedies.yaml"
    head = "" if more.startswith("remedies") else "other: 1\nremedies: [{}]\n"
    file.write_text(head + more, "utf-8")

    with pytest.raises(RegistrationError, match=told):
        remedies.read(file, ACTIONS, "ann", 1_000)
