"""The graph of an application: its stages, what they take and give, and when they run.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, type and shape that a model expects or returns."""

    name: str
    dtype: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """When a stage runs: a fact about the answer of an earlier one."""

    stage: str
    on: str
    operator: str
    threshold: float = 0.0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Share of the requests that one service of a splitting stage serves."""

    service: str
    weight: float
    role: str = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of an application: alternative services for the same task."""

    stage: str
    stage_id: str
    services: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    modality: str = ""
    kind: str = ""
    combine: str = ""
    conditions: tuple[Condition, ...] = ()
    escalate_below: float = 0.0
    splits: tuple[Split, ...] = ()
    takes: tuple[TensorSpec, ...] = ()
    gives: tuple[TensorSpec, ...] = ()
    optional: bool = False
    deadline_share: float = 0.0
