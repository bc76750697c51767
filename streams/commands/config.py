"""`weir config`: the settings in force, as a file that could be read back."""

import json
from typing import Annotated, Any

import typer


def config(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of TOML.")] = False,
) -> None:
    """Show the settings in force: defaults, then the file (--config), then WEIR_ variables.

    What is printed is such a file; passwords and tokens are left out.
    """
    from streams.settings import load

    values = load().model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(_open(values), indent=2))
    else:
        typer.echo(_toml(_open(values)), nl=False)


def _open(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values without secrets."""
    kept = {
        key: _open(value) if isinstance(value, dict) else value for key, value in values.items()
    }
    return {key: value for key, value in kept.items() if "password" not in key and key != "token"}


def _toml(values: dict[str, Any]) -> str:
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    text = "".join(f"{key} = {_value(value)}\n" for key, value in plain.items())
    for name, section in values.items():
        if isinstance(section, dict):
            lines = "".join(f"{key} = {_value(value)}\n" for key, value in section.items())
            text += f"\n[{name}]\n{lines}"
    return text


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
