"""Files of runs of a worker without Kafka: TOML, JSON or YAML, and one to begin with."""

from importlib.resources import files
from pathlib import Path

from streams import text_files
from workers import order_plugins
from workers.handover import task_configs
from workers.scheduling.orders.base import Order
from workers.standalone.config import Run
from workers.standalone.errors import RunRefused
from workers.standalone.reading import run_of

REMEDY = "`weir worker template --to FOLDER` writes one to begin with"
TEMPLATE = "template.toml"


def read(path: Path) -> Run:
    """Return the run of a file, or of a task configuration of InferEdgeOrchestrator.

    Raises RunRefused and DocumentRefused, naming file, field and remedy.
    """
    content = text_files.content(path, RunRefused, REMEDY)
    if task_configs.is_one(content):
        content = task_configs.as_run(content, f"{path}")
    return run_of(
        content,
        f"{path}",
        lambda file, field: text_files.instants(path.parent / file, field, RunRefused),
    )


def order_of(run: Run, name: str, where: str) -> Order:
    """Return an order by its name, that of the run where it is empty. Raises RunRefused."""
    field = "--order" if name else "worker.order"
    try:
        return order_plugins.named(name or run.worker.order)
    except ValueError as error:
        raise RunRefused(f"{where}: {field}: {error}") from error


def template() -> str:
    """Return the text of a file to begin with; its models are those of `weir worker smoke`."""
    return (files("workers.standalone") / TEMPLATE).read_text("utf-8")
