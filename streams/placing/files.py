"""Files beside the trace of a cluster: which nodes fail when, and weights that were learned.

The JSON schema of each is `model_json_schema()` of its class here.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, create_model

from placement.algorithms.learned import FEATURES, SORTS, TOLD, Weights, weights_of
from placement.replay.failures import Failure
from streams import text_files
from workers.handover.errors import DocumentRefused
from workers.simulation.fields import Listed, Part
from workers.wording import told

M = TypeVar("M", bound=BaseModel)
Time = Annotated[int, Field(ge=0, le=1 << 40)]


class NodeFailure(Part):
    """A node that fails."""

    node: Annotated[str, Field(min_length=1, description="its name, as in the file of nodes")]
    at: Annotated[
        Time, Field(description="in the trace's time; in a filling, how many copies came before")
    ]
    back: Annotated[
        Time | None, Field(description="when it is back; without it, it stays away")
    ] = None


class Failures(Part):
    """Nodes that fail during a replay."""

    failures: Annotated[Listed[NodeFailure], Field(max_length=100_000, description="in any order")]


def _table(name: str, keys: tuple[str, ...], kind: Any) -> Any:
    """Return a part with the same kind of field under each key."""
    parts: dict[str, Any] = dict.fromkeys(keys, (kind, ...))
    return create_model(name, __base__=Part, **parts)


_Weight = Annotated[float, Field(ge=-1e6, le=1e6)]
_Bounds = Annotated[
    Listed[Annotated[float, Field(ge=0, le=1e9)]], Field(min_length=2, max_length=2)
]
LearnedWeights = create_model(
    "LearnedWeights",
    __base__=Part,
    __doc__="Weights of the learned algorithm, their domain, and where they come from.",
    provenance=(dict[str, Any], ...),
    domain=(_table("Domain", TOLD, _Bounds), ...),
    weights=(_table("Sorts", SORTS, _table("Features", FEATURES, _Weight)), ...),
)


def failures(path: Path) -> tuple[Failure, ...]:
    """Return the failures of a file. Raises DocumentRefused, naming file, field and remedy."""
    found = _read(path, Failures)
    return tuple(Failure(each.node, each.at, each.back) for each in found.failures)


def weights(path: Path) -> Weights:
    """Return the weights of a file. Raises DocumentRefused, naming file, field and remedy."""
    return weights_of(_read(path, LearnedWeights).model_dump())


def _read(path: Path, kind: type[M]) -> M:
    content = text_files.content(path, DocumentRefused, "name a TOML, JSON or YAML file")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise DocumentRefused(f"{path}: {told(error, content, kind, 'failures')}") from None
