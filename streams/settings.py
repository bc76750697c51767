"""Settings read once, in the command: a TOML file, then `WEIR_` variables, which win.

`WEIR_KAFKA__BOOTSTRAP` is `bootstrap` in section `[kafka]` of the file; lists are JSON. Whatever
is not a known key is an error, so that a misspelt one is not silently ignored.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.sources.utils import parse_env_vars

from streams import errors, toml
from streams import settings_words as words
from streams.settings_words import PREFIX
from workers.settings import Settings

CONFIG_VARIABLE = "WEIR_CONFIG"
"""Names the settings file when no other is given."""


class _Shape(Settings, BaseSettings):
    """The settings as pydantic-settings wants to see them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")


class _Environment(EnvSettingsSource):
    """Reads the variables that it is given instead of those of this process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._given = environ
        super().__init__(_Shape)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(self._given)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return a list written as JSON. Raises SettingsError, naming the key, when it is none."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError as error:
            place = next((each for each in words.known() if each[-1] == field_name), (field_name,))
            raise errors.SettingsError(words.not_json(place, str(error))) from error


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in force: defaults, then the file, then the variables.

    `environ` defaults to this process's environment, `config` to the file that its WEIR_CONFIG
    names. Raises SettingsError, naming the key, for
    one that is unknown or has an unusable value, and for a file that cannot be read.
    """
    variables = os.environ if environ is None else environ
    if unknown := unknown_variables(variables):
        raise errors.SettingsError("; ".join(unknown.values()))
    named = variables.get(CONFIG_VARIABLE)
    file = config or (Path(named) if named else None)
    try:
        values = _merged(_from_file(file) if file else {}, _Environment(variables)())
        return Settings.model_validate(values)
    except ValidationError as error:
        told = words.told(error, variables, str(file or ""))
        raise errors.SettingsError(told) from error


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with each variable that begins as ours and names no setting."""
    return words.unknown_variables(environ, {CONFIG_VARIABLE})


def _from_file(config: Path) -> dict[str, Any]:
    try:
        return toml.parsed(config.read_text("utf-8"))
    except OSError as error:
        raise errors.SettingsError(
            f"settings file {config}: {error.strerror}; name another with --config or "
            f"{CONFIG_VARIABLE}"
        ) from error
    except ValueError as error:
        raise errors.SettingsError(
            f"settings file {config} is no TOML: {error}; `weir config` prints one to begin with"
        ) from error


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        result[key] = _merged(below or {}, value) if both else value
    return result
