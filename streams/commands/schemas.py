"""`weir schemas`: check, register and compare the contracts."""

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check, register and compare the Avro contracts.",
)
Json = Annotated[bool, typer.Option("--json", help="The answer as JSON.")]
BAD_DATA = 4


@app.command()
def check(
    records: Annotated[
        list[str] | None, typer.Argument(help="Names of records; all by default.")
    ] = None,
    *,
    against: Annotated[
        str | None, typer.Option(help="URL of a registry whose versions must be compatible too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that every schema is valid, documented and compatible with all before it.

    Ends with code 4 when something is wrong. Example:
    weir schemas check --against http://127.0.0.1:8081
    """
    from schemas import files, review

    names = records or files.records()
    problems = {name: review.review(name) for name in names}
    if against is not None:
        for name, found in _compared(names, against).items():
            problems[name] += found
    _tell({name: found for name, found in problems.items() if found}, len(names), as_json=as_json)


def _compared(names: "list[str] | tuple[str, ...]", url: str) -> dict[str, list[str]]:
    from schemas import evolution, files, review
    from schemas.events import event_named
    from streams.settings import load
    from workers.registry import Registry

    found = {}
    with closing(Registry(load().registry.model_copy(update={"url": url}))) as registry:
        for name in names:
            held = registry.history(event_named(name))
            wrong = evolution.incompatibilities(files.text(name), held, review.MODE)
            found[name] = [f"registry: {problem}" for problem in wrong]
    return found


def _tell(problems: dict[str, list[str]], checked: int, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"checked": checked, "problems": problems}, indent=2))
    else:
        for name, found in problems.items():
            for problem in found:
                print(f"{name}: {problem}", file=sys.stderr)
        print(f"{checked} records checked, {len(problems)} with problems")
    if problems:
        raise typer.Exit(BAD_DATA)


@app.command()
def register(
    records: Annotated[
        list[str] | None, typer.Argument(help="Names of records; all by default.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Register every version with the registry of the settings; nothing happens the second time."""
    from schemas import files, topics
    from schemas.events import event_named
    from streams.running import settings_of_running
    from workers.registry import Registry

    ids = {}
    with closing(Registry(settings_of_running().registry)) as registry:
        for name in records or files.records():
            event = event_named(name)
            ids[topics.subject_of(event)] = registry.register(event)
    if as_json:
        print(json.dumps(ids, indent=2))
    else:
        for subject, schema_id in ids.items():
            print(f"{schema_id}\t{subject}")


@app.command()
def diff(
    record: Annotated[str, typer.Argument(help="Name of a record.")],
    before: Annotated[str, typer.Argument(help="A version, or the path of an .avsc file.")],
    after: Annotated[
        str | None, typer.Argument(help="The same; the newest version by default.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show what two versions of a schema differ in, and in which modes they are compatible.

    Example: weir schemas diff MetricReport my-change.avsc
    """
    from dataclasses import asdict

    from schemas import evolution, files, review

    old = _schema(record, before)
    new = files.text(record) if after is None else _schema(record, after)
    found = review.differences(old, new)
    modes = [m for m in evolution.MODES if not evolution.incompatibilities(new, [old], m)]
    pairwise = [mode for mode in modes if not mode.endswith("_TRANSITIVE")]
    if as_json:
        print(json.dumps({"differences": [asdict(d) for d in found], "compatible": pairwise}))
        return
    for difference in found:
        print(f"{difference.path} {difference.what}")
        print(f"  - {difference.before or '(none)'}")
        print(f"  + {difference.after or '(none)'}")
    print(f"{len(found)} differences; compatible in the modes {', '.join(pairwise)}")


def _schema(record: str, which: str) -> str:
    """Return a schema by the number of its version or by its path. Raises BadParameter."""
    from schemas import evolution, files
    from schemas.errors import ContractError

    if which.isdecimal():
        return files.text(record, int(which))
    try:
        text = Path(which).read_text("utf-8")
        evolution.check_schema(text)
    except (OSError, UnicodeDecodeError, ContractError) as error:
        raise typer.BadParameter(f"{which}: {error}") from error
    return text
