"""`weir contracts show`, `status`, `history`, `explain`: how promises are kept, and who fails."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, opened, quiet_settings

if TYPE_CHECKING:
    from schemas.registrations import ContractRegistered
    from workers.clickhouse import Database

_STATUS = (
    "contract", "app", "consumer", "clause", "status", "observed", "promise", "held", "judged",
    "budget left", "for",
)  # fmt: skip
_HISTORY = (
    "violation", "contract", "clause", "version", "severity", "since", "until", "observed",
    "excess", "budget left", "most by",
)  # fmt: skip
_PARTS = ("stage", "service", "instance", "observed", "usual", "amount", "share")
Most = Annotated[int, typer.Option(min=1, help="So many at most.")]


def status(
    name: Annotated[str, typer.Argument(help="Of one contract alone.")] = "",
    *,
    of: Annotated[str, typer.Option("--app", help="Of one application alone.")] = "",
    consumer: Annotated[str, typer.Option(help="Of one consumer alone.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show how each clause stands: ok, violated, unobserved or not-in-force, and its error budget.

    A clause whose metric nobody reports, or that nobody judges, is unobserved. Exit code 0 whatever
    they are.
    """
    from streams.commands.output import show_rows, since
    from workers.clock import wall_ms

    contracts = _contracts(name, of, consumer)
    now_ms = wall_ms()
    rows = _standing(contracts, now_ms)
    if as_json:
        _echo([row | {"promise": promise} for row, promise in rows])
        return
    shown = [
        (
            row["contract"], row["app"], row["consumer"], row["clause"], row["status"],
            row["observed"], promise, _share(row["held"] if row["judged"] else None),
            row["judged"], _share(row["budget_left"]),
            since(row["since"], now_ms) if row["since"] else "",
        )
        for row, promise in rows
    ]  # fmt: skip
    show_rows(_STATUS, shown, as_json=False)


def show(
    name: Annotated[str, typer.Argument(help="Name of the contract.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show a contract whole: its words, how it stands, and what breaks it now and by whom."""
    from schemas.introspect import to_plain
    from streams import contract_reports
    from workers.clock import wall_ms

    (contract,) = _contracts(name)
    standing = [row | {"promise": promise} for row, promise in _standing([contract], wall_ms())]
    with _reading() as (database, cluster):
        found = contract_reports.violations(
            database, cluster, "contract = {contract:String}", {"contract": name}, 1_000
        )
    broken = [one.violated for one in contract_reports.spells(found) if one.cleared_at is None]
    if as_json:
        plain = to_plain(type(contract))(contract)
        _echo({"contract": plain, "standing": standing, "violations": broken})
        return
    for line in _described(contract):
        typer.echo(line)
    for row in standing:
        told = f"  {row['status']:<12} {row['clause']}: {row['promise']}"
        typer.echo(told + (f"; now {row['observed']:.6g}" if row["observed"] is not None else ""))
    for one in broken:
        typer.echo("")
        _explain(one)


def history(
    name: Annotated[str, typer.Argument(help="Of one contract alone.")] = "",
    *,
    since: Annotated[str, typer.Option(help="From then on: 2h, 7d or an ISO time.")] = "7d",
    most: Most = 100,
    as_json: AsJson = False,
) -> None:
    """List when clauses were broken, newest first: for how long, by how much, by whom most.

    How many of the windows held, hour by hour, is in the view contract_budgets.
    """
    from streams import contract_reports
    from streams.commands.output import show_rows
    from streams.instants import instant_ms
    from workers.clock import wall_ms

    given = {"contract": name, "since": instant_ms(since, wall_ms())}
    where = "{contract:String} IN ('', contract) AND evaluated_at >= {since:Int64}"
    with _reading() as (database, cluster):
        found = contract_reports.violations(database, cluster, where, given, 2 * most)
    told = contract_reports.spells(found)[:most]
    if as_json:
        _echo([{**one.violated, "until": one.cleared_at} for one in told])
        return
    rows = [
        (
            row["event_id"][:12], row["contract"], row["clause"], row["contract_version"],
            row["severity"], _instant(row["since"]), _instant(one.cleared_at) or "still",
            row["observed"], row["excess"], _share(row["budget_left"]),
            _place(row["contributions"][0]) if row["contributions"] else "",
        )
        for one in told
        for row in (one.violated,)
    ]  # fmt: skip
    show_rows(_HISTORY, rows, as_json=False)


def explain(
    violation: Annotated[
        str, typer.Argument(help="Event id or its beginning, contract, or contract/clause.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Say which stages, services and instances contributed how much to a violation.

    Amounts add up to the excess, in the unit of the metric; what helped has a negative one. The
    usual value of each is what it had while the clause held.
    """
    from streams import contract_reports

    with _reading() as (database, cluster):
        found = contract_reports.named(database, cluster, violation)
    if as_json:
        stages = contract_reports.by_stage(found["contributions"])
        _echo(found | {"stages": [{"stage": s, "amount": amount} for s, amount in stages]})
        return
    _explain(found)


def _explain(found: Mapping[str, Any]) -> None:
    from streams import contract_reports
    from streams.commands.output import show_rows

    typer.echo(
        f"{found['contract']}/{found['clause']} of {found['app']}, version "
        f"{found['contract_version']}, {found['severity'] or 'warning'}: {found['metric']} was "
        f"{found['observed']:.6g}, promised {found['operator']} {found['threshold']:g}, "
        f"since {_instant(found['since'])}"
    )
    left = _share(found["budget_left"])
    typer.echo(f"excess {found['excess']:.6g}" + (f", error budget left {left}" if left else ""))
    stages = contract_reports.by_stage(found["contributions"])
    if len(stages) > 1:
        told = ", ".join(
            f"{stage or '(the application)'} {amount:+.6g}" for stage, amount in stages
        )
        typer.echo(f"by stage: {told}")
    rows = [
        (
            part["stage"], part["service"] or "(as a whole)", part["instance"], part["observed"],
            part["baseline"], f"{part['amount']:+.6g}", _share(part["share"]),
        )
        for part in found["contributions"]
    ]  # fmt: skip
    show_rows(_PARTS, rows, as_json=False)


def _contracts(name: str = "", app: str = "", consumer: str = "") -> "list[ContractRegistered]":
    from schemas.registrations import ContractRegistered
    from streams.registration import unknown

    with opened() as entries:
        found = entries.of(ContractRegistered)
    if name and name not in found:
        raise unknown("contract", name, found)
    return [
        one
        for key, one in sorted(found.items())
        if name in ("", key) and app in ("", one.app) and consumer in ("", one.consumer)
    ]


def _standing(
    contracts: "Sequence[ContractRegistered]", now_ms: int
) -> list[tuple[dict[str, Any], str]]:
    """Return a row per clause with its promise in words."""
    from streams import contract_reports
    from streams.forms.contracts import words

    with _reading() as (database, cluster):
        told = contract_reports.standings(database, cluster, now_ms)
    return [
        (row, words(clause))
        for one in contracts
        for row, clause in zip(
            contract_reports.standing_rows(one, told.get(one.contract)), one.clauses, strict=True
        )
    ]


@contextmanager
def _reading() -> "Iterator[tuple[Database, str]]":
    from workers.clickhouse import connect

    settings = quiet_settings()
    database = connect(settings.clickhouse)
    try:
        database.only_read()
        yield database, settings.kafka.cluster
    finally:
        database.close()


def _described(contract: "ContractRegistered") -> Iterator[str]:
    yield (
        f"contract {contract.contract}, version {contract.version}: {contract.app} for "
        f"{contract.consumer or 'all consumers'}, owner {contract.owner or 'nobody'}"
    )
    if contract.description:
        yield f"  {contract.description}"
    if contract.source:
        yield f"  imported from {contract.source}"
    if contract.valid_from is not None or contract.valid_until is not None:
        begin, end = _instant(contract.valid_from), _instant(contract.valid_until)
        yield f"  in force from {begin or 'ever'} until {end or 'further notice'}"


def _place(part: dict[str, Any]) -> str:
    told = "/".join(name for name in (part["stage"], part["service"], part["instance"]) if name)
    return f"{told or '(the application)'} {part['share']:.0%}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _instant(ms: int | None) -> str:
    from datetime import datetime, timezone

    if ms is None:
        return ""
    return datetime.fromtimestamp(ms / 1000, timezone.utc).isoformat(timespec="seconds")


def _echo(found: Any) -> None:
    import json

    typer.echo(json.dumps(found, indent=2))
