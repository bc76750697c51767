"""What a registration says of how its model is to be executed. Pure.

Entries of a service's `environment` whose keys begin with `runtime.` are options: of every
runtime those of `Supervision`, and those of its own, such as `runtime.threads` of ONNX Runtime.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from schemas.registrations import ServiceRegistered
from workers.runtimes.base import DEFAULT
from workers.runtimes.errors import BrokenModel
from workers.settings_section import Section
from workers.wording import told

HOUR_MS = 3_600_000.0
PREFIX = "runtime."
OPEN_INFERENCE, PLAIN_JSON = "open-inference", "plain-json"
SERVED_ELSEWHERE = (OPEN_INFERENCE, PLAIN_JSON)
"""Formats whose artifact is the URL of a service: there is no file, and no digest of one."""
S = TypeVar("S", bound=Section)


class Supervision(Section):
    """How long a model may take, and whether it has a process of its own.

    In this process only what the runtime can interrupt is stopped; a process of its own is
    killed, and replaced, whatever it is doing.
    """

    isolated: bool = Field(default=False, description="execute in a process of its own")
    deadline_ms: float = Field(
        default=DEFAULT.deadline_ms, gt=0, le=HOUR_MS, description="longest execution, ms"
    )
    load_ms: float = Field(
        default=DEFAULT.load_ms, gt=0, le=HOUR_MS, description="longest loading, ms"
    )


def options_of(service: ServiceRegistered) -> tuple[Supervision, dict[str, str]]:
    """Return how a service's model is supervised, and the options that are its runtime's own.

    Raises BrokenModel, naming the key, for a value that cannot be used.
    """
    given = {
        entry.key.removeprefix(PREFIX): entry.value
        for entry in service.environment
        if entry.key.startswith(PREFIX)
    }
    names = Supervision.model_fields
    mine = {name: value for name, value in given.items() if name in names}
    rest = {name: value for name, value in given.items() if name not in names}
    return checked(Supervision, mine), rest


def checked(kind: type[S], options: Mapping[str, str], prefix: str = PREFIX) -> S:
    """Return options as a section; `a.b` is key b of table a, `prefix` what their keys begin with.

    Raises BrokenModel, naming the key, for one that is unknown or has an unusable value.
    """
    plain: dict[str, Any] = {}
    for name, value in options.items():
        table, dot, key = name.partition(".")
        if not dot:
            plain[name] = value
        elif isinstance(inner := plain.setdefault(table, {}), dict):
            inner[key] = value
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        raise BrokenModel(f"option {prefix}{told(error, plain, kind, '*')}") from error
