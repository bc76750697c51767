"""The demonstration on a terminal: progress, services, and decisions with their reasons."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from streams.demo.queries import ACCURACIES, DECISIONS, SERVICES, Ask, Rows
from workers.errors import WorkerError

SHOWN = 9
EVERY_S = 1.5
STYLES = {"drift": "red", "contract": "yellow", "ensemble": "cyan", "placement": "green"}


class Screen:
    """Redraws from SQL in a thread of its own while the traffic runs."""

    def __init__(self, console: Console, ask: Ask, app: str, seconds: float) -> None:
        self._ask = ask
        self._app = app
        self._seconds = seconds
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(None), TimeElapsedColumn(), console=console
        )
        self._task = self._progress.add_task("traffic", total=seconds)
        self._live = Live(self._progress, console=console, refresh_per_second=4)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    def __enter__(self) -> "Screen":
        self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._draw()
        self._live.stop()

    def tick(self, seconds: float) -> None:
        """Move the bar to the seconds gone by; it grows with a traffic that goes on."""
        total = max(seconds, self._seconds)
        self._progress.update(self._task, completed=seconds, total=total)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._draw()

    def _draw(self) -> None:
        """Draw anew; while SQL cannot be asked, the last picture stays."""
        with suppress(WorkerError):
            self._redraw()

    def _redraw(self) -> None:
        parameters = {"app": self._app}
        services = self._ask(SERVICES, parameters)
        accuracies = {row["service"]: row["accuracy"] for row in self._ask(ACCURACIES, parameters)}
        decisions = self._ask(DECISIONS, parameters)
        self._live.update(
            Group(self._progress, _services(services, accuracies), _decisions(decisions))
        )


def _services(services: Rows, accuracies: Mapping[str, Any]) -> Table:
    table = Table("service", "node", "results", "p50 ms", "p95 ms", "accuracy now", expand=True)
    for row in services:
        accuracy = accuracies.get(row["service"])
        table.add_row(
            row["service"],
            row["node"],
            str(row["results"]),
            f"{row['p50']:.1f}",
            f"{row['p95']:.1f}",
            "" if accuracy is None else f"{accuracy:.2f}",
        )
    overall = accuracies.get("")
    if overall is not None:
        table.add_row("[bold]the application[/]", "", "", "", "", f"[bold]{overall:.2f}[/]")
    return table


def _decisions(decisions: Rows) -> Panel:
    lines = [
        Text.assemble((f"{row['kind']:<10}", STYLES.get(row["kind"], "dim")), row["text"])
        for row in decisions[-SHOWN:]
    ]
    return Panel(Group(*lines), title="decisions", title_align="left")
