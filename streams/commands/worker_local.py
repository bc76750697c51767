"""`weir worker smoke`, `run`, `report` and `template`: a worker on this device, without Kafka."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson

if TYPE_CHECKING:
    import threading

    from workers.smoke.checks import Check

CHECKS = ("check", "status", "what was seen")
SUMMARY = "inferedge-orchestration-summary-v1"


def smoke(
    *,
    require: Annotated[
        list[str] | None,
        typer.Option(help="A check that must not be absent, such as onnxruntime-cuda; repeat."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.2, max=600, help="How long two models contend.")
    ] = 2.0,
    device: Annotated[
        str, typer.Option(help="On which device they do: cpu, cuda or tensorrt.")
    ] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Check whether this device can do what a worker needs; nothing has to be installed or run.

    Read are processors, memory, GPUs and, on a Jetson, tegrastats; ONNX Runtime computes two
    models, made on the spot, on all that it finds, so does TensorRT where it is, and both models
    contend in the live engine. What is absent from this machine is not wrong unless required.
    Exit code 3 when something that is there, or required, does not work.
    """
    import tempfile

    from streams.commands.nouns import quiet_settings
    from streams.commands.output import show_rows
    from workers.smoke.checks import NAMES
    from workers.standalone.versions import versions

    required = set(require or ())
    if unknown := sorted(required.difference(NAMES)):
        raise typer.BadParameter(f"--require is one of {', '.join(NAMES)}, not {unknown[0]}")
    settings = quiet_settings()
    with tempfile.TemporaryDirectory(prefix="weir-smoke-") as folder:
        settings = settings.model_copy(update={"data_dir": Path(folder)})
        found, contention = _checked(Path(folder), settings, seconds * 1_000, device)
    wrong = [
        c.name for c in found if c.status == "failed" or (c.status != "ok" and c.name in required)
    ]
    if as_json:
        checks = [{"name": c.name, "status": c.status, "detail": c.detail} for c in found]
        told = {"ok": not wrong, "wrong": wrong, "checks": checks, "versions": versions()}
        typer.echo(json.dumps({**told, "contention": contention}, indent=2))
    else:
        show_rows(CHECKS, [(c.name, c.status, c.detail) for c in found], as_json=False)
        typer.echo(", ".join(f"{name} {version}" for name, version in versions().items()))
        typer.echo(f"does not work: {', '.join(wrong)}" if wrong else "all that is here works")
    raise typer.Exit(3 if wrong else 0)


def run(
    *,
    config: Annotated[Path, typer.Option(help="TOML, JSON or YAML; see `weir worker template`.")],
    output: Annotated[Path, typer.Option(help="Where the document of the run is written, JSON.")],
    frames: Annotated[
        int | None, typer.Option(min=1, help="Most frames of all services together.")
    ] = None,
    mode: Annotated[
        str, typer.Option(help="In place of the file's: normal, overload, sustained, device-local.")
    ] = "",
    order: Annotated[str, typer.Option(help="In place of the file's.")] = "",
    as_json: AsJson = False,
) -> None:
    """Serve the models of a file on this device in real time, without Kafka, and tell about it.

    Models are loaded and frames prepared first; then frames come when they are due, and the same
    engine as on Kafka decides and executes. On SIGINT or SIGTERM what waits is dropped, and the
    document is written all the same. Exit code 4 for a file that cannot be used.
    """
    from streams import run_files
    from streams.commands.nouns import quiet_settings
    from workers.standalone import documents
    from workers.standalone.reading import mode_of
    from workers.standalone.whole import Plan, carry_out, ready

    told = run_files.read(config)
    plan = Plan(
        run=told,
        where=f"{config}",
        folder=config.parent,
        mode_name=mode or told.mode,
        mode=mode_of(told, mode, f"{config}"),
        order=run_files.order_of(told, order, f"{config}"),
        frames=frames,
    )
    documents.writable(output)
    with ready(plan, quiet_settings()) as found:
        document = carry_out(plan, found, _stopped_by_signals())
    documents.write(document, output)
    _tell(document, as_json=as_json)


def report(
    file: Annotated[Path, typer.Argument(help="What `weir worker run --output` wrote.")],
    *,
    form: Annotated[str, typer.Option("--format", help=f"{SUMMARY}: that document.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show a run: what became of the frames of each service, times, reasons, resources.

    Exit code 4 for a file that is none, or of another version.
    """
    from streams.run_report import summary
    from workers.standalone import documents

    if form not in ("", SUMMARY):
        raise typer.BadParameter(f"--format: {form!r} is unknown; there is {SUMMARY}")
    found = documents.read(file)
    if form:
        typer.echo(json.dumps(summary(found, f"{file}"), indent=2, sort_keys=True))
        return
    _tell(found, as_json=as_json)


def template(
    *,
    to: Annotated[
        Path | None, typer.Option(help="A folder to write it to, with two models that it names.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of such files instead.")
    ] = False,
) -> None:
    """Print a file for `weir worker run` to begin with, or write it so that it can be run."""
    from streams import run_files

    if schema:
        from workers.standalone.config import Run

        typer.echo(json.dumps(Run.model_json_schema(), indent=2))
        return
    if to is None:
        typer.echo(run_files.template(), nl=False)
        return
    from workers.smoke.samples import write_models

    place = to / "worker.toml"
    if place.exists():
        raise typer.BadParameter(f"{place} is there already; name another folder (--to)")
    to.mkdir(parents=True, exist_ok=True)
    write_models(to)
    place.write_text(run_files.template(), "utf-8")
    typer.echo(f"weir worker run --config {place} --output {to / 'run.json'}")


def _checked(
    folder: Path, settings: Any, lasts_ms: float, device: str
) -> "tuple[list[Check], dict[str, Any]]":
    from workers.smoke import checks
    from workers.smoke.contention import contend
    from workers.smoke.samples import write_models

    write_models(folder)
    here = checks.device()
    found = [
        checks.serving(),
        checks.resources(),
        checks.nvml(here),
        checks.tegrastats(here),
        *checks.onnx_runtime(here, folder),
        checks.tensorrt(here, folder),
    ]
    check, document = contend(folder, settings, lasts_ms, device)
    return [*found, check], document


def _stopped_by_signals() -> "threading.Event":
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _tell(document: Mapping[str, Any], *, as_json: bool) -> None:
    from streams.commands.output import show_rows
    from streams.commands.simulate import COLUMNS, further, row
    from streams.run_report import lines

    if as_json:
        typer.echo(json.dumps(document, indent=2))
        return
    work = document["work"]
    rows = [row(name, told) for name, told in work["services"].items()]
    show_rows(COLUMNS, [*rows, row("all", work["total"])], as_json=False)
    for line in (*lines(document), *further(work)):
        typer.echo(line)
