"""`weir infer`: one request, and its answer with what every member said."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, quiet_settings

if TYPE_CHECKING:
    from schemas.inference import InferenceResponse
    from schemas.registrations import ApplicationRegistered
    from workers.settings import Settings

ANSWERED = ("complete", "partial")
RESEND_MS = 2_000


def infer(
    app: Annotated[str, typer.Argument(help="Application that is asked.")],
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="JSON or a file (json, npy, npz, picture), as VALUE or NAME=VALUE; several."
        ),
    ],
    *,
    deadline: Annotated[int, typer.Option(min=1, help="When the answer is due, ms.")] = 1_000,
    consumer: Annotated[str, typer.Option(help="On whose behalf.")] = "",
    contract: Annotated[str, typer.Option(help="Under which contract.")] = "",
    priority: Annotated[int, typer.Option(help="Larger is more important.")] = 0,
    user: Annotated[str, typer.Option(help="Person whom the inputs are about.")] = "",
    key: Annotated[str, typer.Option(help="Repeats with this key are one request.")] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Say how it came about.")] = False,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Circumstance of the inputs, by which it is judged."
        ),
    ] = None,
    tensor: Annotated[str, typer.Option(help="Name of inputs that have none.")] = "x",
    size: Annotated[str, typer.Option(help="Make pictures so large: WIDTHxHEIGHT.")] = "",
    gray: Annotated[bool, typer.Option("--gray", help="One value a pixel.")] = False,
    scaled: Annotated[bool, typer.Option("--scaled", help="Pixels as float32, 0 to 1.")] = False,
    channels_first: Annotated[
        bool, typer.Option("--channels-first", help="Channels, rows, columns.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask an application once, and print its answer, its members' and what each stage took.

    Ends with 4 when the request was rejected or has failed. Examples:
    weir infer digits '[0.5, 1, 0]' --deadline 500 --explain --condition light=night;
    weir infer gate x=frame.png --size 96x72 --gray --json
    """
    from schemas.conditions import read as conditions_of
    from schemas.identity import stable_id
    from streams.exits import BAD_DATA
    from streams.given_inputs import read
    from workers.client import Client
    from workers.sources.forms import Form, size_of

    conditions = conditions_of(condition or ())
    settings = quiet_settings()
    pixels = size_of(size) if size else None
    form = Form(tensor=tensor, size=pixels, gray=gray, scaled=scaled, channels_first=channels_first)
    read_inputs = read(inputs, _known(app, settings), form)
    asked: dict[str, Any] = {"consumer": consumer, "contract": contract, "priority": priority}
    asked |= {"user": user, "conditions": conditions}
    if key:
        asked |= {"request_id": stable_id("gateway", consumer, app, key), "idempotency_key": key}
    with Client(settings, resend_ms=RESEND_MS) as client:
        response = client.ask(app, read_inputs, deadline_ms=deadline, explain=explain, **asked)
    _show(response, explain=explain, as_json=as_json)
    if response.status not in ANSWERED:
        raise typer.Exit(BAD_DATA)


def _known(app: str, settings: "Settings") -> "ApplicationRegistered":
    from schemas.registrations import ApplicationRegistered
    from streams.entries import Entries
    from streams.registration import unknown

    with Entries(settings) as entries:
        found = entries.of(ApplicationRegistered)
    if app not in found:
        raise unknown("application", app, found)
    return found[app]


def _show(response: "InferenceResponse", *, explain: bool, as_json: bool) -> None:
    import json

    from streams.commands.output import show_rows
    from workers.gateway.plain import answer

    if as_json:
        typer.echo(json.dumps(answer(response), indent=2, ensure_ascii=False))
        return
    late = "" if response.deadline_met else ", late"
    told = f"{response.status} in {response.latency_ms:.0f} ms{late}"
    sure = "" if response.confidence is None else f", confidence {response.confidence:.3f}"
    typer.echo(f"{response.label if response.label is not None else '-'}{sure} ({told})")
    if response.reason:
        typer.echo(f"  {response.reason}")
    columns = ("member", "instance", "status", "says", "confidence", "weight", "ms")
    rows = (
        (m.service, m.instance, m.status, m.label, m.confidence, m.weight, m.latency_ms)
        for m in response.members
    )
    show_rows(columns, rows, as_json=False)
    if response.stages:
        columns = ("stage", "status", "began at ms", "took ms", "of ms", "says", "confidence")
        stages = (
            (s.stage, s.status, s.started_ms, s.latency_ms, s.budget_ms, s.label, s.confidence)
            for s in response.stages
        )
        show_rows(columns, stages, as_json=False)
    if explain:
        _explain(response)


def _explain(response: "InferenceResponse") -> None:
    if response.explanation:
        typer.echo(response.explanation)
    for clause in response.clauses:
        held = "held" if clause.held else "not held"
        typer.echo(f"  {clause.clause}: {clause.observed:g} of {clause.threshold:g}, {held}")
    if response.ensemble:
        typer.echo(f"  ensemble {response.ensemble}, generation {response.generation}")
