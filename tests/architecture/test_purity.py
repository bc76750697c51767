"""Modules that decide touch no file, clock, chance or log: what import-linter cannot see."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.tree import module, parsed, sources

DOORS = {
    "schemas.files",
    "schemas.making",
    "placement.algorithms.shipped",
    "placement.kube.door",
    "placement.local.processes",
}
"""Modules of pure packages that may reach outside: files, own source, Kubernetes, processes."""
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


@cache
def pure() -> dict[str, ast.Module]:
    """Return three packages but for their doors, and every other module that says it is pure."""
    deciding = sources("schemas", "processors", "placement")
    others = sources("workers", "streams")
    found = [p for p in others if says_it_is_pure(p) and p.name != "__init__.py"]
    return {module(p): parsed(p) for p in [*deciding, *found] if module(p) not in DOORS}


def named(node: ast.AST, name: str) -> bool:
    """Whether a node is the function, or the name, that is asked for."""
    return getattr(node, "name", getattr(node, "id", None)) == name


def impurities(tree: ast.AST) -> list[str]:
    """Return what in a module depends on more than its arguments."""
    found = []
    hashing = {
        each for node in ast.walk(tree) if named(node, "__hash__") for each in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or (node in hashing and named(node.func, "hash")):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in CALLS:
            found.append(f"{called.id}() in line {node.lineno}")
        if isinstance(called, ast.Attribute) and called.attr in ATTRIBUTES:
            found.append(f".{called.attr}() in line {node.lineno}")
    return found


def test_a_deciding_module_is_pure() -> None:
    assert {name: found for name, tree in pure().items() if (found := impurities(tree))} == {}


def imported(tree: ast.Module) -> set[str]:
    """Return the top-level packages that a module imports."""
    nodes = list(ast.walk(tree))
    names = [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def test_a_deciding_module_imports_no_clock_chance_or_client() -> None:
    found = {name: imported(tree) & IMPORTS for name, tree in pure().items()}
    assert {name: bad for name, bad in found.items() if bad} == {
        "schemas.columns_block": {"secrets"}
    }


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


def test_an_object_may_say_its_own_hash() -> None:
    """Which nothing but a set or a dictionary asks for."""
    assert not impurities(ast.parse("def __hash__(self): return hash(self.name)"))


def test_a_deciding_module_has_no_mutable_global() -> None:
    found = {
        f"{name}:{node.lineno}"
        for name, tree in pure().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Global)
    }
    assert found == set()
