"""What is wrong with settings, in words: which, from where, what it may be, how to mend it. Pure.

A setting is known by its place: `("kafka", "bootstrap")` is the variable WEIR_KAFKA__BOOTSTRAP and
the key `bootstrap` in section `[kafka]` of a file.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from workers.settings import Settings
from workers.settings_section import Section

PREFIX = "WEIR_"
LIST = "`weir config` lists all"
LONGEST = 60

Place = tuple[str, ...]


def known() -> dict[Place, FieldInfo]:
    """Return every setting by its place, sections included."""
    found: dict[Place, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        found[(name,)] = field
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found |= {(name, key): inner for key, inner in kind.model_fields.items()}
    return found


def variable(place: Iterable[str]) -> str:
    """Return the name of the variable of a setting."""
    return f"{PREFIX}{'__'.join(place)}".upper()


def unknown_variables(environ: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """Return what is wrong with each variable that names no setting; `others` are no settings."""
    names = {variable(place) for place in known()} | set(others)
    return {
        name: f"{name}: there is no such setting; {_meant(name.upper(), names)}"
        for name in sorted(environ)
        if name.upper().startswith(PREFIX) and name.upper() not in names
    }


def _meant(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.7)
    return f"did you mean {close[0]}? Else unset it" if close else f"unset it; {LIST}"


def told(error: ValidationError, environ: Mapping[str, str], file: str) -> str:
    """Return what is wrong with values that were read from variables and, if named, a file."""
    given = {name.upper(): name for name in environ}
    return "; ".join(_problem(dict(each), given, file) for each in error.errors())


def not_json(place: Sequence[str], why: str) -> str:
    """Return what is wrong with a variable that should hold JSON."""
    return (
        f"{variable(place)} is no JSON: {why}; write a list or table as JSON, as `weir config` does"
    )


def _problem(problem: Mapping[str, Any], given: Mapping[str, str], file: str) -> str:
    loc = tuple(str(part) for part in problem["loc"])
    own = variable(loc[:2])
    where = given.get(own) or (given.get(variable(loc[:1])) if len(loc) > 1 else None)
    name = where or own
    inner = ".".join(loc[2:]) if where == given.get(own) else ".".join(loc[1:])
    name += f" ({inner})" if where and inner else ""
    if where is None and file:
        key = f"{'.'.join(loc[1:])} in section [{loc[0]}]" if len(loc) > 1 else loc[0]
        name = f"{key} of {file} ({own})"
    if problem["type"] == "extra_forbidden":
        keys = [".".join(place) for place in known()]
        close = difflib.get_close_matches(".".join(loc), keys, n=1, cutoff=0.7)
        meant = f"did you mean {close[0]}?" if close else LIST
        return f"{name}: there is no such setting; {meant}"
    return f"{name}{_value(loc, problem)}: {_wrong(problem)}{_allowed(loc)}"


def _value(loc: Place, problem: Mapping[str, Any]) -> str:
    value = problem["input"]
    if problem["type"] == "missing" or isinstance(value, dict | list):
        return ""
    return " is ***" if "password" in loc[-1] else f" is {str(value)[:LONGEST]!r}"


def _wrong(problem: Mapping[str, Any]) -> str:
    text = str(problem["msg"])
    text = text.replace("Input should", "it should").replace("String should", "it should")
    return text[:1].lower() + text[1:]


def _allowed(loc: Place) -> str:
    """Return what a setting means, and its default, which is in force when it is unset."""
    field = known().get(loc)
    if field is None or "password" in loc[-1]:
        return ""
    means = f" ({field.description})" if field.description else ""
    return f"{means}; by default it is {field.default!r}"
