"""Files that say of one or many nodes or services what they are, in Weir's form or a testbed's.

TOML, JSON or YAML by the end of the name. What is wrong is told with file, field and remedy.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from schemas.errors import InvalidEvent
from streams import text_files
from streams.errors import RegistrationError
from streams.forms import testbed as testbed_forms
from streams.forms.schema import Form
from workers.handover.errors import DocumentRefused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One table of a file: where it stands, its fields, and what of it has no place in Weir."""

    where: str
    plain: dict[str, Any]
    left_out: tuple[str, ...] = field(default=())


def entries(file: Path, form: Form) -> list[Entry]:
    """Return what a file says. Raises DocumentRefused."""
    remedy = f"name a file as `weir {form.plural} template` prints it"
    content = text_files.content(file, DocumentRefused, remedy)
    found = list(_entries(content, form, f"{file}"))
    if not found:
        raise DocumentRefused(f"{file}: it holds no {form.noun}; {remedy}")
    return found


def built(found: Iterable[Entry], form: Form, make: Callable[[dict[str, Any]], T]) -> list[T]:
    """Return what is made of each entry.

    Raises DocumentRefused with the place of what is wrong, and where two have one name.
    """
    made, seen = [], dict[str, str]()
    for entry in found:
        made.append(_built(entry, form, make))
        first = seen.setdefault(getattr(made[-1], form.noun), entry.where)
        if first != entry.where:
            raise DocumentRefused(f"{entry.where}: {first} names it too; keep one")
    return made


def _built(entry: Entry, form: Form, make: Callable[[dict[str, Any]], T]) -> T:
    taken = sorted(form.own & entry.plain.keys())
    if taken:
        raise DocumentRefused(f"{entry.where}: {taken[0]} is Weir's to fill in; leave it out")
    try:
        return make({**form.lent, **entry.plain})
    except (RegistrationError, InvalidEvent) as error:
        told = f"`weir {form.plural} template` shows every field"
        raise DocumentRefused(f"{entry.where}: {error}; {told}") from error


def _entries(content: Any, form: Form, where: str) -> Iterator[Entry]:
    if isinstance(content, list):
        for number, one in enumerate(content):
            yield _one(one, form, f"{where}, {form.plural}[{number}]")
    elif isinstance(content, dict) and isinstance(content.get(form.plural), list | dict):
        others = [key for key in content if key != form.plural]
        if others:
            raise DocumentRefused(f"{where}: {others[0]} stands beside {form.plural}; leave it out")
        yield from _entries(content[form.plural], form, where)
    elif testbed_forms.is_whole(content):
        try:
            found = list(testbed_forms.tables(content, form.noun))
        except testbed_forms.Unreadable as error:
            raise DocumentRefused(f"{where}: {error}") from error
        for place, one, app in found:
            yield _one(one, form, f"{where}, {place}", app)
    else:
        yield _one(content, form, where)


def _one(content: Any, form: Form, where: str, app: str = "") -> Entry:
    if not isinstance(content, dict):
        raise DocumentRefused(f"{where}: it must be a table with named fields: {content!r:.60}")
    name = content.get(form.noun, content.get(f"{form.noun}_name"))
    where = f"{where} ({name})" if isinstance(name, str) else where
    if not testbed_forms.is_one(content, form.noun):
        return Entry(where, dict(content))
    try:
        plain, left_out = testbed_forms.translated(content, form.noun, app)
    except testbed_forms.Unreadable as error:
        raise DocumentRefused(f"{where}: {error}") from error
    return Entry(where, plain, left_out)
