"""Five packages, named as agreed, each of which says what it is."""

import ast
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGES, ROOT, module, parsed, sources

FOLDERS = {*PACKAGES, "deploy", "tests", "notebooks", "requirements"}
"""Folders of the repository; a further one is a decision, not an accident."""


def test_the_repository_has_no_other_folders() -> None:
    made = {"build", "dist", "weir-data"}
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert found - made <= FOLDERS


def test_no_installed_distribution_ships_one_of_our_names() -> None:
    taken = {*PACKAGES, "tests"}
    for distribution in distributions():
        if distribution.name == "weir":
            continue
        tops = {path.parts[0].removesuffix(".py") for path in distribution.files or ()}
        assert not tops & taken, f"{distribution.name} ships {tops & taken}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed_and_has_a_readme(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    readme = (ROOT / package / "README.md").read_text("utf-8")
    for heading in (
        "## What is here",
        "## What may be imported",
        "## How to add one",
        "## Decisions",
    ):
        assert heading in readme


@pytest.mark.parametrize("path", [p for p in sources() if p.name == "__init__.py"], ids=module)
def test_an_init_holds_a_docstring_only(path: Path) -> None:
    (statement,) = parsed(path).body
    assert ast.get_docstring(parsed(path))
    assert isinstance(statement, ast.Expr)


@pytest.mark.parametrize("path", sources(), ids=module)
def test_nothing_is_imported_to_be_passed_on(path: Path) -> None:
    names = [
        target.id
        for node in parsed(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert "__all__" not in names
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom):
            assert not [a.name for a in node.names if a.name in ("*", a.asname)]


def test_names_are_imported_from_where_they_are_defined() -> None:
    defined = {module(path): _definitions(parsed(path)) for path in sources()}
    for path in sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.module in defined:
                submodules = {name for name in defined if name.startswith(f"{node.module}.")}
                for alias in node.names:
                    known = alias.name in defined[node.module] or any(
                        name == f"{node.module}.{alias.name}" for name in submodules
                    )
                    assert known, f"{module(path)} takes {alias.name} from {node.module}"


def _definitions(tree: ast.Module) -> set[str]:
    """Return the names that a module defines itself, at its top level."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
