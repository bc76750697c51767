"""The edge: a worker alone, on Python 3.10, without the libraries of the data plane."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from streams import toml
from streams.doctor import local
from tests.architecture.tree import ROOT, parsed, sources

DATA_PLANE = {
    *("avro", "clickhouse-connect", "faust-streaming", "kubernetes", "numba", "polars"),
    *("pyarrow", "river", "scipy"),
}
NEWER = {
    "asyncio": {"Runner", "TaskGroup", "timeout", "timeout_at"},
    "contextlib": {"chdir"},
    "datetime": {"UTC"},
    "enum": {"StrEnum", "ReprEnum", "EnumCheck", "verify", "member", "nonmember"},
    "hashlib": {"file_digest"},
    "http": {"HTTPMethod"},
    "itertools": {"batched"},
    "math": {"cbrt", "exp2", "sumprod"},
    "operator": {"call"},
    "typing": {
        *("LiteralString", "Never", "NotRequired", "Required", "Self", "TypeVarTuple", "Unpack"),
        *("assert_never", "assert_type", "override", "reveal_type"),
    },
}
"""What modules of the standard library got after Python 3.10."""
NEW_MODULES = {"tomllib"}
MAY = {Path("streams/toml.py")}
"""Chooses by the version of Python."""


def newer(tree: ast.Module) -> Iterator[str]:
    """Yield the names after Python 3.10 that a module imports or takes from an imported one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module in NEW_MODULES:
                yield node.module
            late = NEWER.get(node.module, set())
            yield from (f"{node.module}.{name.name}" for name in node.names if name.name in late)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in NEW_MODULES)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            late = NEWER.get(node.value.id, set())
            yield from (f"{node.value.id}.{node.attr}" for _ in late & {node.attr})


@pytest.mark.parametrize(
    "text",
    [
        "from typing import Self",
        "import tomllib",
        "import asyncio\nasync def f():\n    async with asyncio.timeout(1): pass",
        "from datetime import UTC",
    ],
)
def test_what_is_newer_is_found(text: str) -> None:
    assert list(newer(ast.parse(text)))


def test_nothing_is_newer_than_the_python_of_the_edge() -> None:
    words = re.compile(rf"\b({'|'.join(sorted(NEW_MODULES.union(*NEWER.values())))})\b")
    found = {
        str(path): names
        for path in sources()
        if path.relative_to(ROOT) not in MAY and words.search(path.read_text("utf-8"))
        for names in [list(newer(parsed(path)))]
        if names
    }
    assert found == {}


def pins() -> set[str]:
    text = (ROOT / "requirements" / "edge.lock").read_text("utf-8")
    return {line.partition("==")[0] for line in text.splitlines() if "==" in line}


def test_the_edge_has_no_library_of_the_data_plane() -> None:
    assert pins() & DATA_PLANE == set()
    assert {"onnxruntime", "confluent-kafka", "numpy", "nvidia-ml-py"} <= pins()


def test_the_extras_are_the_halves_of_an_installation() -> None:
    project = toml.parsed((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    stream = {Requirement(each).name for each in project["optional-dependencies"]["stream"]}
    base = {Requirement(each).name for each in project["dependencies"]}
    assert stream == DATA_PLANE - {"scipy"} | {"aiohttp"}
    assert base & DATA_PLANE == set()
    assert {*base, *("onnxruntime", "nvidia-ml-py")} <= pins()


@pytest.mark.parametrize(
    ("text", "extras", "expected"),
    [
        ("rich>=14", (), True),
        ("polars>=1; extra == 'stream'", (), False),
        ("polars>=1; extra == 'stream'", ("worker",), False),
        ("polars>=1; extra == 'stream'", ("stream", "worker"), True),
        ("tomli>=2; python_version < '3.0'", ("worker",), False),
    ],
)
def test_the_doctor_asks_for_what_was_installed(
    text: str, extras: tuple[str, ...], expected: bool
) -> None:
    assert local.applies(text, extras) is expected
