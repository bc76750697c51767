"""What a process loads: help is quick, and a worker runs without Faust."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.architecture.tree import module, sources

HEAVY = {
    "polars",
    "pyarrow",
    "numba",
    "numpy",
    "river",
    "faust",
    "onnxruntime",
    "chdb",
    "sklearn",
    "kubernetes",
}
NATIVE = {"workers.runtimes.tensorrt", "workers.runtimes.tensorrt_engines"}
"""Modules that can be imported only where TensorRT is."""


def loaded(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after `code`."""
    report = "import json, sys; print(); print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=280,
    )
    return {name.split(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['weir', '--help']\n"
        "from streams.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert loaded(code) & HEAVY == set()


def test_settings_load_nothing_heavy() -> None:
    assert loaded("import streams.settings, workers.settings") & HEAVY == set()


def test_no_worker_module_loads_faust_or_river() -> None:
    here = find_spec("tensorrt") is not None
    found = [module(path) for path in sources("workers")]
    imports = "\n".join(f"import {name}" for name in found if here or name not in NATIVE)
    assert loaded(imports) & {"faust", "mode", "river"} == set()


def test_the_path_of_a_request_loads_no_faust_and_compiles_nothing() -> None:
    modules = (
        "processors.routing.route",
        "workers.hosting.host",
        "workers.client",
        "workers.inference.loop",
    )
    commands = ("streams.commands.run", "streams.commands.worker", "streams.guard")
    imports = "\n".join(f"import {name}" for name in (*modules, *commands))
    assert loaded(imports) & {"faust", "mode", "aiokafka", "numba"} == set()


def test_a_worker_needs_no_library_of_the_data_plane() -> None:
    modules = (
        "workers.inference.loop",
        "workers.probe",
        "workers.client",
        "workers.smoke.contention",
        "workers.standalone.whole",
        "streams.commands.worker",
        "streams.run_files",
    )
    imports = "\n".join(f"import {name}" for name in modules)
    heavy = {"polars", "pyarrow", "clickhouse_connect", "kubernetes", "river", "numba"}
    assert loaded(imports) & heavy == set()


@pytest.mark.parametrize(
    ("modules", "needless"),
    [
        ("workers.inference.loop", {"polars"}),
        ("workers.hosting.host, streams.commands.run", {"polars", "numpy"}),
        ("streams.faust.host, streams.apps.control", {"polars", "numpy"}),
    ],
)
def test_what_begins_loads_nothing_that_it_may_never_need(modules: str, needless: set[str]) -> None:
    """A registry is asked in plain HTTP: the library for it brings OAuth, JOSE and cryptography."""
    of_registries = {"authlib", "joserfc", "httpx", "httpx2", "cryptography"}
    assert loaded(f"import {modules}") & (needless | of_registries) == set()


def test_the_control_plane_is_made_without_what_decodes_columns_and_compiles() -> None:
    """Both take longer than all else that it loads, and it has to come back soon."""
    made = "from streams.apps import control\nfrom streams.settings import load\n"
    assert loaded(f"{made}control.build(load())") & {"polars", "numba", "river"} == set()


def test_deciding_packages_load_no_client_and_no_toolbox_of_learning() -> None:
    deciding = sources("schemas", "processors", "placement")
    pure = [module(path) for path in deciding if module(path) != "placement.kube.door"]
    clients = {"confluent_kafka", "clickhouse_connect", "kubernetes", "faust", "onnxruntime"}
    toolboxes = {"sklearn", "pandas"}  # River would bring them: seconds, and 130 MiB
    loading = loaded("\n".join(f"import {name}" for name in pure))
    assert loading & (clients | toolboxes) == set()
