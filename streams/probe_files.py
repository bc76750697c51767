"""Configuration files of probes: who reports, and where to.

Each is a settings file (`--config`, WEIR_CONFIG) and, beside it, the same as `WEIR_` variables.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from workers.settings import Identity, Settings


def write(folder: Path, identities: Iterable[Identity], settings: Settings) -> list[Path]:
    """Write two files for each identity, `<name>.toml` and `<name>.env`, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for identity in identities:
        name = identity.instance or "-".join(filter(None, (identity.app, identity.stage)))
        sections = _sections(identity, settings)
        for suffix, text in ((".toml", _toml(sections)), (".env", _env(sections))):
            path = folder / f"{name}{suffix}"
            path.write_text(text, "utf-8")
            written.append(path)
    return written


def _sections(identity: Identity, settings: Settings) -> dict[str, dict[str, str]]:
    told = {name: str(value) for name, value in identity if value}
    return {
        "identity": told,
        "kafka": {"bootstrap": settings.kafka.bootstrap},
        "registry": {"url": settings.registry.url},
    }


def _toml(sections: dict[str, dict[str, str]]) -> str:
    parts = []
    for section, values in sections.items():
        lines = (
            f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
        )
        parts.append("\n".join([f"[{section}]", *lines]) + "\n")
    return "\n".join(parts)


def _env(sections: dict[str, dict[str, str]]) -> str:
    return "".join(
        f"WEIR_{section}__{key}".upper() + f"={value}\n"
        for section, values in sections.items()
        for key, value in values.items()
    )
