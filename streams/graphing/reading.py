"""Files that describe an application, in TOML, JSON or YAML, and what is wrong with their graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from processors.graphs.checking import problems
from processors.graphs.problems import Problem
from processors.routing.votes import COMBINERS
from schemas.catalogue import Catalogue
from schemas.registrations import ApplicationRegistered, ModelPublished, ServiceRegistered
from streams import registration, text_files
from streams.errors import RegistrationError
from streams.plugins import combiners
from workers.handover.errors import DocumentRefused

REMEDY = "write an application with its stages; see `weir apps show`"
OTHERS = ("services", "contracts", "consumers")
"""What may stand beside an application, to be registered with it."""


def table(file: Path) -> dict[str, Any]:
    """Return what a file says of an application. Raises DocumentRefused."""
    found = text_files.content(file, DocumentRefused, REMEDY)
    if not isinstance(found, dict):
        raise DocumentRefused(f"{file}: it must be a table with named fields; {REMEDY}")
    mended: dict[str, Any] = _with_on(found)
    return mended


def _with_on(content: Any) -> Any:
    """Return what a file says, with `on` where YAML 1.1 read it as a truth, as it does."""
    if isinstance(content, dict):
        return {"on" if key is True else key: _with_on(each) for key, each in content.items()}
    return [_with_on(each) for each in content] if isinstance(content, list) else content


def application(file: Path, now_ms: int) -> tuple[ApplicationRegistered, tuple[str, ...]]:
    """Return the application of a file, its graph unchecked, and the services beside it.

    Raises RegistrationError or DocumentRefused, naming the file and the field, for what is no
    application at all.
    """
    plain = table(file)
    beside = registration.tables(plain.get("services", []), "services")
    own = {key: value for key, value in plain.items() if key not in OTHERS}
    try:
        made = registration.unchecked(own, now_ms)
    except RegistrationError as error:
        raise RegistrationError(f"{file}: {error}") from error
    return made, tuple(str(one.get("service", "")) for one in beside)


def found_wrong(
    app: ApplicationRegistered, known: Catalogue | None, beside: Sequence[str] = ()
) -> tuple[Problem, ...]:
    """Return what is wrong with a graph, compared with a catalogue where there is one.

    Services `beside` it will be registered with it.
    """
    names = {*COMBINERS, *combiners.installed()}
    if known is None:
        return problems(app, combiners=names)
    services = known.of(ServiceRegistered)
    told = problems(app, services, known.of(ModelPublished), names)
    coming = {f"no service {name!r} is registered" for name in beside}
    return tuple(one for one in told if one.what not in coming)
