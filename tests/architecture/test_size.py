"""The size budget: small files, small functions, few last resorts."""

import ast
from collections import Counter
from math import ceil
from pathlib import Path
from statistics import median

from tests.architecture.tree import module, parsed, sources


def share(values: list[int], part: float) -> int:
    """Return the value below or at which `part` of the values lie."""
    return sorted(values)[ceil(part * len(values)) - 1]


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def functions() -> dict[str, int]:
    return {
        f"{module(path)}.{node.name}:{node.lineno}": node.end_lineno - node.lineno + 1
        for path in sources()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }


def test_files_are_small() -> None:
    sizes = {module(path): lines(path) for path in sources() if path.name != "__init__.py"}
    assert {name: size for name, size in sizes.items() if size > 500} == {}
    assert share(list(sizes.values()), 0.95) <= 350
    assert median(sizes.values()) <= 150


def test_functions_are_small() -> None:
    sizes = functions()
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert share(list(sizes.values()), 0.95) <= 40
    assert median(sizes.values()) <= 10


def broad(tree: ast.AST) -> list[int]:
    """Return the lines of handlers that catch everything and do not raise it again."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException"))
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
    ]


def test_broad_handlers_are_last_resorts_with_a_reason() -> None:
    found: Counter[str] = Counter()
    for path in sources():
        text = path.read_text("utf-8").splitlines()
        for line in broad(parsed(path)):
            found[module(path)] += 1
            around = " ".join(text[max(0, line - 2) : line + 1])
            assert "#" in around, f"{module(path)}:{line} catches everything without a reason"
    assert {name: count for name, count in found.items() if count > 1} == {}
    assert not [name for name in found if name.startswith(("schemas", "processors", "placement"))]


def test_tests_are_small_too() -> None:
    tests = Path(__file__).parents[1]
    assert [p.name for p in tests.rglob("conftest.py") if lines(p) > 100] == []
    assert [p.name for p in tests.rglob("*.py") if lines(p) > 500] == []
