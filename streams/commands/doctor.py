"""`weir doctor`: is the installation well, and what is to be done where it is not?"""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.doctor.examining import Report
    from streams.doctor.installation import Given

COLOURS = {"ok": "green", "skip": "dim", "warn": "yellow", "fail": "bold red"}


def doctor(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help="Run this check, and what it needs; repeat.")
    ] = None,
    watch: Annotated[
        float, typer.Option(min=0.5, max=600, help="Seconds between two looks at what waits.")
    ] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look at the whole installation, change nothing, and say what to do about each finding.

    Broker, topics, schemas, ClickHouse, lag, stuck members, hanging transactions, clocks,
    permissions, dead letters, snapshots, the catalogue, this machine. Exit code 1 when something
    fails, 0 when nothing does.
    """
    from streams.doctor.checks import CHECKS
    from streams.doctor.examining import examine
    from streams.doctor.findings import Status, worst
    from streams.doctor.installation import Site
    from workers import telemetry

    if unknown := set(only or ()) - {check.name for check in CHECKS}:
        known = ", ".join(check.name for check in CHECKS)
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is none of {known}")
    given = _given(watch)
    level = given.settings.log_level.upper()
    telemetry.configure("DEBUG" if level == "DEBUG" else "CRITICAL")
    reports = examine(CHECKS, Site(given), only or ())
    if as_json:
        _print_json(reports)
    else:
        _draw(reports)
    if worst(each for report in reports for each in report.findings) is Status.FAIL:
        raise typer.Exit(1)


def _given(watch_s: float) -> "Given":
    """Return the settings in force; what is wrong with them is a finding, where one can go on."""
    import os

    from streams.doctor.installation import Given
    from streams.running import find, settings_of_running
    from streams.settings import unknown_variables

    unknown = unknown_variables(os.environ)
    environ = {name: value for name, value in os.environ.items() if name not in unknown}
    settings = settings_of_running(environ=environ)
    return Given(
        settings=settings,
        environ=environ,
        problems=tuple(unknown.values()),
        state=find(settings.data_dir),
        watch_s=watch_s,
    )


def _print_json(reports: "Sequence[Report]") -> None:
    from streams.doctor.findings import worst

    found = [(report, each) for report in reports for each in report.findings]
    rows = [
        {
            "check": report.check,
            "subject": each.subject,
            "status": each.status.value,
            "what": each.what,
            "why": each.why,
            "mend": each.mend,
        }
        for report, each in found
    ]
    status = worst(each for _, each in found)
    typer.echo(json.dumps({"status": status.value, "findings": rows}, indent=2))


def _draw(reports: "Sequence[Report]") -> None:
    from collections import Counter

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("", "check", "finding"):
        table.add_column(name, overflow="fold")
    for report in reports:
        for each in report.findings:
            about = "" if each.subject == report.check else f"{each.subject}: "
            lines = [escape(about + each.what)]
            lines += [f"[dim]{escape(each.why)}[/]"] if each.why else []
            lines += [f"→ {escape(each.mend)}"] if each.mend else []
            status = each.status.value
            table.add_row(f"[{COLOURS[status]}]{status}[/]", report.check, "\n".join(lines))
    width = None if sys.stdout.isatty() else 120
    Console(width=width, highlight=False).print(table)
    counts = Counter(each.status.value for report in reports for each in report.findings)
    typer.echo(", ".join(f"{counts[status]} {status}" for status in COLOURS if counts[status]))
