"""Modules that decide touch no file, clock, chance or log: what import-linter cannot see."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.tree import module, parsed, sources

DOORS = {
    "schemas.files",
    "placement.algorithms.shipped",
    "placement.kube.door",
    "placement.local.processes",
}
"""Modules of pure packages that may reach outside: shipped files, Kubernetes, processes."""
CALLS = {
    "open", "input", "print", "exec", "eval", "compile", "__import__", "breakpoint", "hash",
}  # fmt: skip
ATTRIBUTES = {
    "now", "utcnow", "today", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter",
    "perf_counter_ns", "sleep", "random", "default_rng", "getenv", "environ", "read_text",
    "write_text", "read_bytes", "write_bytes", "unlink", "mkdir", "getLogger",
}  # fmt: skip
IMPORTS = {
    "asyncio", "confluent_kafka", "datetime", "faust", "logging", "os", "random", "requests",
    "secrets", "socket", "structlog", "subprocess", "threading", "time", "urllib", "uuid",
}  # fmt: skip


def says_it_is_pure(path: Path) -> bool:
    return bool(re.search(r"\b[Pp]ure\b|without clock", ast.get_docstring(parsed(path)) or ""))


PURE = [p for p in sources("schemas", "processors", "placement") if module(p) not in DOORS] + [
    p for p in sources("workers", "streams") if says_it_is_pure(p) and p.name != "__init__.py"
]
"""Three packages but for their doors, and every other module that says it is pure."""


def impurities(tree: ast.AST) -> list[str]:
    """Return what in a module depends on more than its arguments."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in CALLS:
            found.append(f"{called.id}() in line {node.lineno}")
        if isinstance(called, ast.Attribute) and called.attr in ATTRIBUTES:
            found.append(f".{called.attr}() in line {node.lineno}")
    return found


@pytest.mark.parametrize("path", PURE, ids=module)
def test_a_deciding_module_is_pure(path: Path) -> None:
    assert impurities(parsed(path)) == []


@pytest.mark.parametrize("path", PURE, ids=module)
def test_a_deciding_module_imports_no_clock_chance_or_client(path: Path) -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        + ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
    }
    assert imported & IMPORTS <= ({"secrets"} if module(path) == "schemas.columns_block" else set())


@pytest.mark.parametrize(
    "text",
    [
        "open('x')",
        "datetime.now()",
        "time.time()",
        "rng = np.random.default_rng()",
        "Path('x').read_text()",
        "print(1)",
        "hash('randomised per process')",
    ],
)
def test_the_test_sees(text: str) -> None:
    assert impurities(ast.parse(text))


@pytest.mark.parametrize("path", PURE, ids=module)
def test_a_deciding_module_has_no_mutable_global(path: Path) -> None:
    statements = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.Global | ast.Nonlocal)]
    assert [n.lineno for n in statements if isinstance(n, ast.Global)] == []
