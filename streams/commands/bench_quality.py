"""`weir bench quality`: what the detectors find, and how fast they are."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.bench_observe import saying


def quality(
    *,
    nab: Annotated[
        Path | None,
        typer.Option(help="A folder of series with a windows.json; without it that part is null."),
    ] = None,
    generated: Annotated[
        int, typer.Option(min=0, help="Series that are generated and scored likewise; 0 for none.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of those series.")] = 1,
    incidents: Annotated[
        int,
        typer.Option(min=0, help="Incidents of each of seven kinds to be diagnosed; 0 for none."),
    ] = 6,
    drifts: Annotated[
        int, typer.Option(min=0, help="Series of each of seven changes of concept; 0 for none.")
    ] = 3,
    hosted: Annotated[
        bool, typer.Option(help="Measure rules, anomalies and drift through their hosts, too.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure what the default detector of anomalies finds, and its values a second per core.

    Scored as the Numenta Anomaly Benchmark scores, 0 for silence and 100 for perfection: with one
    threshold for all series, swept on the labels as published scores are made, and with the one
    that is the default. Of generated incidents `root_cause` tells in how many the true cause stood
    first, and among the first three. Under `drift`, by detector: delay in events, false alarms, and
    F1 on generators of River and on its annotated series; `adwin_ratio` is the speed of drift as a
    share of River's bare update loop, `adwin_read_ratio` that of a consumer which drops what it
    reads. Rules are counted as evaluations: rule, series and window.
    Hosts run on a broker of their own; CPU time counts.
    """
    from streams.bench import quality_drift, quality_rules, root_cause
    from streams.bench.quality import measure
    from streams.errors import SeriesError
    from workers import telemetry

    telemetry.configure("CRITICAL", json=False)  # standard output is for the figures
    say = saying(time.monotonic())
    try:
        found = measure(nab, generated, seed, say)
    except SeriesError as error:
        raise typer.BadParameter(str(error), param_hint="--nab") from error
    found |= quality_rules.measure(say, hosted=hosted)
    found |= quality_drift.measure(drifts, say, hosted=hosted)
    found["root_cause"] = root_cause.measure(each=incidents, say=say) if incidents else None
    _show(found, as_json=as_json)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from streams.commands.output import show_rows

    titles = ("", "threshold", "standard", "low FP", "low FN")
    rows = []
    for name in ("nab", "generated"):
        if (part := found[name]) is not None:
            limits = part["thresholds"]["standard"], part["default"]["threshold"]
            for how, limit, each in (
                ("swept", limits[0], part),
                ("default", limits[1], part["default"]),
            ):
                figures = (_figure(each[key], 1) for key in ("standard", "low_fp", "low_fn"))
                rows.append([f"{name}, {how}", _figure(limit, 2), *figures])
    show_rows(titles, rows, as_json=False)
    whole, alone = found["anomaly_points_per_s"], found["anomaly_detector_points_per_s"]
    typer.echo(f"{whole:,} observations a second per core, the detector alone {alone:,}")
    if (rules := found.get("rules_per_s")) is not None:
        whole = found["rules_hosted_per_s"]
        told = "" if whole is None else f", {whole:,} through their host"
        typer.echo(f"{rules:,} evaluations of rules a second per core{told}")
    if found.get("drift") is not None:
        _show_drift(found)
    if (causes := found["root_cause"]) is not None:
        first, third = causes["top1"], causes["top3"]
        typer.echo(
            f"root cause of {causes['incidents']} incidents: first in {first:.1%}, among the first "
            f"three in {third:.1%}"
        )


def _figure(number: float | None, places: int) -> str:
    return "none" if number is None else f"{number:.{places}f}"


def _show_drift(found: dict[str, Any]) -> None:
    from streams.commands.output import show_rows

    titles = ("delay", "found", "false_alarms_per_100k", "f1", "f1_annotated")
    rows = [[name, *(each[key] for key in titles)] for name, each in found["drift"].items()]
    show_rows(("detector", *titles), rows, as_json=False)
    hosted = found["adwin_hosted_ratio"]
    most = found["adwin_read_ratio"]
    told = (
        "" if hosted is None else f", {hosted:.2f} through its host, which could reach {most:.2f}"
    )
    typer.echo(f"drift over 1,000 series: {found['adwin_ratio']:.2f} of River's bare loop{told}")
