"""Is this machine fit: Python, libraries, file descriptors, the data directory and its disk?"""

import os
import resource
import shutil
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streams.doctor.findings import Finding, fail, few, ok, warn
from streams.doctor.installation import Site
from streams.settings import CONFIG_VARIABLE

MIB = 1 << 20
OLDEST, FIRST_UNTRIED = (3, 10), (3, 14)
FEW_FILES = 1024
LITTLE_MIB, VERY_LITTLE_MIB = 1024, 128
_TELLING = {"stream": "faust-streaming", "worker": "onnxruntime"}
"""By which library it is told that an extra was installed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """This machine.

    `versions` are those installed of what `requirements` ask for, None where absent; `free_mib` is
    where the data directory is or would be; `refusal` is why it cannot be written.
    `open_secrets` is a settings file with a password that others may read.
    """

    python: tuple[int, int]
    requirements: tuple[str, ...]
    versions: Mapping[str, str | None]
    files_limit: int
    data_dir: str
    refusal: str
    free_mib: int
    problems: tuple[str, ...]
    open_secrets: str = ""


def gather(site: Site) -> Facts:
    """Look around; nothing is written."""
    extras = installed_extras()
    asked = tuple(each for each in metadata.requires("weir") or () if applies(each, extras))
    folder = site.settings.data_dir.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    file = site.given.environ.get(CONFIG_VARIABLE, "")
    return Facts(
        python=sys.version_info[:2],
        requirements=asked,
        versions={(name := Requirement(each).name): _version(name) for each in asked},
        files_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        data_dir=str(folder),
        refusal=_refusal(there),
        free_mib=shutil.disk_usage(there).free // MIB,
        problems=site.given.problems,
        open_secrets=file if file and _tells_secrets(Path(file)) else "",
    )


def installed_extras() -> frozenset[str]:
    """Return which extras this installation has, by the library that tells of each."""
    return frozenset(extra for extra, library in _TELLING.items() if _version(library))


def applies(text: str, extras: Collection[str]) -> bool:
    """Tell whether a requirement is one of an installation with these extras, on this Python."""
    marker = Requirement(text).marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _version(name: str) -> str | None:
    try:
        return metadata.version(canonicalize_name(name))
    except metadata.PackageNotFoundError:
        return None


def _refusal(there: Path) -> str:
    if not there.is_dir():
        return f"{there} is no directory"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"we may not write in {there}"


def _tells_secrets(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & 0o077) and "password" in file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    said = (_settings, _python, _libraries, _files, _folder)
    found = [each for say in said for each in say(facts)]
    number = ".".join(map(str, facts.python))
    told = f"Python {number}, {len(facts.requirements)} libraries, {facts.free_mib} MiB free"
    return found or [ok("machine", told)]


def _settings(facts: Facts) -> list[Finding]:
    why = "what is not known is not in force"
    found = [fail("settings", each, why) for each in facts.problems]
    if facts.open_secrets:
        told = f"{facts.open_secrets} holds a password and others may read it"
        mend = f"chmod 600 {facts.open_secrets}, or WEIR_KAFKA__SASL_PASSWORD and the like"
        found.append(warn("settings", told, "", mend))
    return found


def _python(facts: Facts) -> list[Finding]:
    number = ".".join(map(str, facts.python))
    if facts.python < OLDEST:
        return [fail("python", f"this is Python {number}", "it needs 3.10", "install 3.11 to 3.13")]
    if facts.python >= FIRST_UNTRIED:
        told = f"Python {number} is newer than what is tried"
        return [warn("python", told, "", "install 3.11 to 3.13")]
    return []


def _libraries(facts: Facts) -> list[Finding]:
    wrong = []
    for text in facts.requirements:
        asked = Requirement(text)
        version = facts.versions[asked.name]
        if version is None:
            wrong.append(f"{asked.name} (absent)")
        elif not asked.specifier.contains(version, prereleases=True):
            wrong.append(f"{asked.name} {version} (needs {asked.specifier})")
    if not wrong:
        return []
    told = f"{len(wrong)} libraries are not as required: {few(wrong)}"
    return [
        fail(
            "libraries", told, "", "pip install 'weir[stream,worker]', or make setup in a checkout"
        )
    ]


def _files(facts: Facts) -> list[Finding]:
    if facts.files_limit < 0 or facts.files_limit >= FEW_FILES:
        return []
    told = f"this process may open {facts.files_limit} files"
    why = "a worker has connections, models and logs; ClickHouse's engine opens many parts"
    return [warn("files", told, why, "ulimit -n 65536")]


def _folder(facts: Facts) -> list[Finding]:
    found = []
    if facts.refusal:
        why = "logs, models and state are kept there"
        mend = "set WEIR_DATA_DIR, or its permissions"
        found.append(fail("data", f"{facts.data_dir}: {facts.refusal}", why, mend))
    if facts.free_mib < LITTLE_MIB:
        say = fail if facts.free_mib < VERY_LITTLE_MIB else warn
        told = f"{facts.free_mib} MiB are free where {facts.data_dir} is"
        why = "what is written there cannot be kept when it is full"
        found.append(say("space", told, why, "make room, or set WEIR_DATA_DIR to another disk"))
    return found
