"""`weir contracts import`: contracts in QoA4ML's forms; what has no counterpart is told."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import (
    AsJson,
    Strict,
    check_application,
    check_contract_owner,
    given,
    opened,
    send_changed,
)

if TYPE_CHECKING:
    from schemas.registrations import ContractRegistered
    from streams.forms.qoa4ml_terms import Translation


def import_(
    file: Annotated[Path, typer.Argument(help="A contract of QoA4ML: YAML, JSON or TOML.")],
    *,
    of: Annotated[str, typer.Option("--app", help="Application it concerns.")],
    contract: Annotated[str, typer.Option(help="Its name; that of the file by default.")] = "",
    consumer: Annotated[str, typer.Option(help="Consumer; the file's by default.")] = "",
    owner: Annotated[str, typer.Option(help="Who answers; the file's provider by default.")] = "",
    window: Annotated[str, typer.Option(help="Over which clauses are judged.")] = "1m",
    register: Annotated[
        bool, typer.Option("--register", help="Send it; else it is shown.")
    ] = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Make a contract of one in QoA4ML's form: of version 0.3, earlier, or for ensembles.

    Every part that has no counterpart is told. Without --register the contract is shown alone.
    """
    from streams import registration
    from streams.commands.output import show_outcome
    from streams.forms import contracts as contract_forms
    from workers.clock import wall_ms

    made = _read(file, contract_forms.milliseconds(window))
    own = given(app=of, consumer=consumer or None, owner=owner or None)
    plain = {"contract": contract or file.stem, **made.plain, **own}
    event = registration.contract(plain, {}, wall_ms(), undeclared=True)
    changed, warnings = False, list[str]()
    if register:
        event, changed, warnings = _send(plain, strict=strict)
    outcome: dict[str, Any] = {
        "contract": event.contract,
        "version": event.version,
        "registered": register,
        "changed": changed,
        "clauses": {one.name: contract_forms.words(one) for one in event.clauses},
        "weights": {one.objective: one.weight for one in event.weights},
        "left_out": made.left_out,
        "noted": made.noted,
        "warnings": warnings,
    }
    show_outcome(outcome, "\n".join(_lines(outcome, event)), as_json=as_json)


def _read(file: Path, window_ms: int) -> "Translation":
    from streams import text_files
    from streams.forms import qoa4ml
    from workers.handover.errors import DocumentRefused

    remedy = "name a contract in QoA4ML's form"
    content = text_files.content(file, DocumentRefused, remedy)
    if not qoa4ml.is_one(content):
        raise DocumentRefused(
            f"{file}: it has none of stakeholders, resources, quality, mlSpecific; {remedy}, or "
            "`weir contracts register -f` for Weir's own"
        )
    made = qoa4ml.translated(content, window_ms)
    if not made.plain["clauses"]:
        told = "; ".join(made.left_out)
        raise DocumentRefused(f"{file}: nothing in it can be judged ({told})")
    return made


def _send(plain: dict[str, Any], *, strict: bool) -> "tuple[ContractRegistered, bool, list[str]]":
    from schemas.registrations import ContractRegistered, MetricDefined
    from streams import registration
    from workers.clock import wall_ms

    with opened() as entries:
        known = entries.catalogue(ContractRegistered, MetricDefined)
        event = registration.next_contract(plain, known, wall_ms(), undeclared=True)
        check_contract_owner(entries, event.contract, event.owner)
        warnings = check_application(entries, "contract", event.contract, event.app, strict=strict)
        return event, bool(send_changed(entries, [event])), warnings


def _lines(outcome: dict[str, Any], event: "ContractRegistered") -> list[str]:
    did = "registered" if outcome["registered"] else "would be"
    lines = [f"{did}: contract {event.contract} of {event.app}, version {event.version}"]
    lines += [f"  clause {name}: {words}" for name, words in outcome["clauses"].items()]
    lines += [f"  weight {name}: {weight:g}" for name, weight in outcome["weights"].items()]
    lines += [f"  note: {told}" for told in outcome["noted"]]
    lines += [f"  left out: {told}" for told in outcome["left_out"]]
    return lines
