"""Files of remedies: what people write, checked, each mistake with its place. Pure but for reading.

app = "shop"                 # where the remedies do not say; empty or absent: all

[[remedies]]
name = "more-copies"
on = "quality"               # quality, drift or violation
rule = "slow"                # and stage, service, instance, node, tier, metric: absent means any
min_severity = "critical"
action = "scale"             # reselect, replace, scale, rollback, retrain, notify, or a plug-in's
parameters = { by = "2" }
cooldown = "5m"              # or cooldown_ms
verify = "1m"                # or verify_ms
undo = true
max_per_hour = 4
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from processors.remedying.actions import SCALE
from processors.remedying.base import Action
from processors.remedying.definitions import objections
from schemas.errors import InvalidEvent
from schemas.identity import stable_id
from schemas.quality import RemedyDefined
from streams import text_files
from streams.definitions import duration_ms
from streams.errors import RegistrationError
from streams.plain_events import build
from streams.registration import NAME
from workers.handover.errors import DocumentRefused

_TIMES = {"cooldown": "cooldown_ms", "verify": "verify_ms"}
_OWN = ("registered_at", "event_id")
_REMEDY = "a file of remedies is TOML, JSON or YAML with a list `remedies`"


def read(file: Path, actions: Mapping[str, Action], owner: str, now_ms: int) -> list[RemedyDefined]:
    """Return the remedies of a file; equal content has equal event ids.

    Raises RegistrationError with all mistakes, each with file, number, name and field.
    """
    try:
        content = text_files.content(file, DocumentRefused, _REMEDY)
    except DocumentRefused as error:
        raise RegistrationError(str(error)) from error
    return made(content, f"{file}", actions, owner, now_ms)


def made(
    content: Any, where: str, actions: Mapping[str, Action], owner: str, now_ms: int
) -> list[RemedyDefined]:
    """Return the remedies that content of a file describes. Raises RegistrationError."""
    tables = content.get("remedies") if isinstance(content, dict) else None
    if not isinstance(tables, list) or not tables:
        raise RegistrationError(f"{where}: {_REMEDY}")
    if strangers := sorted(map(str, content.keys() - {"app", "remedies"})):
        raise RegistrationError(f"{where}: {strangers[0]} stands beside remedies; leave it out")
    found: list[RemedyDefined] = []
    wrong: list[str] = []
    for number, table in enumerate(tables):
        name = table.get("name", "") if isinstance(table, dict) else ""
        place = f"{where}, remedies[{number}]" + (f" ({name})" if name else "")
        try:
            remedy = _built(table, content.get("app", ""), owner, now_ms)
        except (InvalidEvent, RegistrationError) as error:
            wrong.append(f"{place}: {error}")
            continue
        wrong += [f"{place}: {told}" for told in _objections(remedy, found, actions)]
        found.append(remedy)
    if wrong:
        raise RegistrationError("\n".join(wrong))
    return found


def _objections(
    remedy: RemedyDefined, before: list[RemedyDefined], actions: Mapping[str, Action]
) -> Iterator[str]:
    if not NAME.fullmatch(remedy.name):
        yield f"name: {remedy.name!r:.70} will not do; letters, digits, '.', '_' and '-' will"
    if any(one.name == remedy.name for one in before):
        yield "name: another remedy of the file has it"
    yield from objections(remedy, actions)


def fights(wanted: list[RemedyDefined], standing: Mapping[str, RemedyDefined]) -> list[str]:
    """Return in words which remedies answer one kind of finding with opposite actions."""
    every = {**standing, **{one.name: one for one in wanted}}
    pairs = {
        tuple(sorted((one.name, name)))
        for one in wanted
        for name, other in every.items()
        if _way(one) * _way(other) < 0 and _together(one, other)
    }
    return [
        f"{one} and {other} scale up and down on the same findings; whichever acts first keeps "
        "the other off for its cool-down"
        for one, other in sorted(pairs)
    ]


def _way(remedy: RemedyDefined) -> int:
    if remedy.action != SCALE or remedy.stopped:
        return 0
    by = next((entry.value for entry in remedy.parameters if entry.key == "by"), "1")
    return -1 if by.startswith("-") else 1


def _together(one: RemedyDefined, other: RemedyDefined) -> bool:
    fields = ("app", "stage", "service", "instance", "node", "rule", "tier", "metric")
    both = ((getattr(one, field), getattr(other, field)) for field in fields)
    return one.on == other.on and all(not a or not b or a == b for a, b in both)


def _built(table: Any, app: Any, owner: str, now_ms: int) -> RemedyDefined:
    if not isinstance(table, dict):
        raise RegistrationError(f"it must be a table with named fields: {table!r:.60}")
    plain = {"app": app, "owner": owner, **table}
    if taken := [name for name in _OWN if name in plain]:
        raise RegistrationError(f"{taken[0]}: it is Weir's to fill in; leave it out")
    for name, field in _TIMES.items():
        if name in plain:
            plain[field] = _duration(name, plain.pop(name))
    plain["parameters"] = _texts(plain.get("parameters", {}))
    made = build(RemedyDefined, {**plain, "registered_at": now_ms, "event_id": ""})
    identity = stable_id("remedy", repr(sorted(plain.items(), key=lambda pair: pair[0])))
    return replace(made, event_id=identity)


def _duration(name: str, told: Any) -> int:
    found = duration_ms(told) if isinstance(told, str) else None
    if found is None:
        raise RegistrationError(f'{name}: {told!r:.40} is no time; write "500ms", "30s" or "5m"')
    return found


def _texts(told: Any) -> Any:
    """Return parameters with their values as text, so that numbers may stand as such."""
    if not isinstance(told, dict):
        return told
    plain = {key: value for key, value in told.items() if isinstance(value, int | float | str)}
    if odd := sorted(map(str, told.keys() - plain.keys())):
        raise RegistrationError(f"parameters.{odd[0]}: it must be text or a number")
    return {key: value if isinstance(value, str) else f"{value}" for key, value in plain.items()}
