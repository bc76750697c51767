"""Five packages, named as agreed, each of which says what it is."""

import ast
from importlib.metadata import distributions

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


def test_an_init_holds_a_docstring_only() -> None:
    inits = {module(p): parsed(p) for p in sources() if p.name == "__init__.py"}
    assert [name for name, tree in inits.items() if not ast.get_docstring(tree)] == []
    assert [name for name, tree in inits.items() if len(tree.body) != 1] == []


def test_nothing_is_imported_to_be_passed_on() -> None:
    found = {module(path): _passed_on(parsed(path)) for path in sources()}
    assert {name: names for name, names in found.items() if names} == {}


def _passed_on(tree: ast.Module) -> list[str]:
    """Return `__all__`, and names that are imported by a star or under themselves."""
    assigned = [t for n in tree.body if isinstance(n, ast.Assign) for t in n.targets]
    names = [target.id for target in assigned if isinstance(target, ast.Name)]
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    passed = [a.name for node in imports for a in node.names if a.name in ("*", a.asname)]
    return [name for name in names if name == "__all__"] + passed


def test_names_are_imported_from_where_they_are_defined() -> None:
    trees = {module(path): parsed(path) for path in sources()}
    defined = {name: _definitions(tree) for name, tree in trees.items()}
    elsewhere = [
        f"{name} takes {alias.name} from {node.module}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in defined
        for alias in node.names
        if alias.name not in defined[node.module] and f"{node.module}.{alias.name}" not in defined
    ]
    assert elsewhere == []


def _definitions(tree: ast.Module) -> set[str]:
    """Return the names that a module defines itself, at its top level."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
