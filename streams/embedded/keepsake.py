"""What was registered, kept in a file, because the embedded broker forgets it when it ends.

One JSON line for each entry: the name of its record, and its fields.
"""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.errors import ContractError
from schemas.events import event_named
from schemas.introspect import to_plain
from schemas.quality import RemedyDefined, RuleDefined, SilenceDefined
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    MetricDefined,
    ModelPublished,
    PolicySelected,
    ServiceRegistered,
    WindowDefined,
)
from streams.entries import Entries
from streams.errors import StackError
from streams.plain_events import build
from workers.catalogue import CatalogueReader
from workers.errors import Unavailable
from workers.settings import Settings

KINDS: tuple[type[Event], ...] = (
    WindowDefined,
    MetricDefined,
    RuleDefined,
    RemedyDefined,
    SilenceDefined,
    PolicySelected,
    ConsumerRegistered,
    ModelPublished,
    ServiceRegistered,
    ContractRegistered,
    ApplicationRegistered,
)
"""What people register, in the order in which it is needed; the rest is reported again anyway."""


class Keepsake:
    """Registers again what the file holds, and keeps the file up with the catalogue."""

    def __init__(self, settings: Settings) -> None:
        self.file = settings.data_dir / "catalogue.jsonl"
        self._settings = settings
        self._entries: Entries | None = None
        self._reader: CatalogueReader | None = None
        self._saved: Catalogue | None = None

    def begin(self) -> int:
        """Send what the file holds, begin to follow, and return how many entries there were.

        Raises StackError for a file that cannot be read, KafkaUnavailable, RegistryUnavailable.
        """
        kept = list(read(self.file))
        self._entries = Entries(self._settings)
        self._entries.send(kept)
        self._reader = self._entries.follow(*KINDS).start()
        self._saved = self._reader.current()
        return len(kept)

    def poll(self) -> None:
        """Write the file when the catalogue has changed; without a broker it stays as it is."""
        if self._reader is None:
            return
        with suppress(Unavailable):
            self._save(self._reader.current())

    def end(self) -> None:
        """Read the catalogue to its end, write the file a last time, and stop following."""
        if self._reader is None or self._entries is None:
            return
        self._reader.stop()
        with suppress(Unavailable):
            self._save(self._entries.catalogue(*KINDS))
        self.leave()

    def leave(self) -> None:
        """Stop following, without a last look: what was written stands."""
        if self._reader is not None and self._entries is not None:
            self._reader.stop()
            self._entries.close()
            self._reader = self._entries = None

    def _save(self, catalogue: Catalogue) -> None:
        if catalogue is not self._saved:
            write(self.file, catalogue)
            self._saved = catalogue


def write(file: Path, catalogue: Catalogue) -> None:
    """Put the registrations of a catalogue into a file, at once and whole."""
    waiting = file.with_suffix(".new")
    with waiting.open("w", encoding="utf-8") as lines:
        for kind in KINDS:
            for _, event in sorted(catalogue.of(kind).items()):
                content = {"record": kind.__name__, "fields": to_plain(kind)(event)}
                lines.write(json.dumps(content, default=_base64, ensure_ascii=False) + "\n")
    os.replace(waiting, file)


def read(file: Path) -> Iterator[Event]:
    """Yield the registrations of a file; none when there is no file.

    Raises StackError, naming the line, for one that is no registration.
    """
    if not file.exists():
        return
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        try:
            content = json.loads(line)
            yield build(event_named(content["record"]), content["fields"])
        except (ValueError, TypeError, KeyError, ContractError) as error:
            raise StackError(f"{file}, line {number}: {error}; mend or remove it") from error


def _base64(raw: Any) -> str:
    return base64.b64encode(raw).decode()
