"""The tables that events are kept in: made from the Avro schemas, so that SQL shows what was said.

One table per event. Instants are DateTime64(3, 'UTC'), records in arrays are named tuples, names
with few values are LowCardinality. Tensors keep their shape, length and digest, not their data.
Every row says where it stood: `_cluster`, `_topic`, `_partition`, `_offset`, `_timestamp`, `_key`.

A row is the same row when its identity is: the place where it stood for events from outside and
for the catalogue, whose history is kept; the cluster and the event id for derived events, which
may stand on a topic twice. ReplacingMergeTree and FINAL make one of the repeats. Clusters are
told apart because generations, from which ids are made, begin again in a new one.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from schemas import decisions as d
from schemas import files
from schemas import inference as i
from schemas import observing as o
from schemas import quality as q
from schemas import registrations as r
from schemas import signals as s
from schemas import working as w
from schemas.base import Event
from schemas.topics import home_of

PLACE = ("_cluster", "_topic", "_partition", "_offset")
_INSTANT = "DateTime64(3, 'UTC')"
_PRIMITIVES = {
    "string": "String",
    "bytes": "String",
    "long": "Int64",
    "int": "Int32",
    "double": "Float64",
    "float": "Float32",
    "boolean": "Bool",
}
_FEW_VALUES = """
algorithm app architecture cause_class clause combine component consumer contract detector error
field format health instance kind label method metric mode model_version node operator phase policy
processor provider role rule run runtime sensitivity service severity source source_kind stage
status tier topic unit user variant verdict window worker zone
"""
_FEW = frozenset(_FEW_VALUES.split())
TENSOR = "Tensor"

_NAMES: tuple[tuple[type[Event], str, tuple[str, ...]], ...] = (
    (o.MetricReport, "metrics", ("app", "metric", "service", "event_time")),
    (s.LogReported, "logs", ("app", "service", "event_time")),
    (s.SpanReported, "spans", ("app", "service", "started_at")),
    (i.InferenceRequest, "requests", ("app", "created_at")),
    (i.InferenceTask, "tasks", ("app", "service", "created_at")),
    (i.InferenceResult, "results", ("app", "service")),
    (i.InferenceResponse, "responses", ("app", "request_id")),
    (i.GroundTruth, "labels", ("app", "request_id")),
    (o.Observation, "observations", ("app", "metric", "service", "window_start")),
    (o.LateMetric, "late_metrics", ("app", "metric", "event_time")),
    (o.DriftDetected, "drifts", ("app",)),
    (o.QualityEvaluated, "quality", ("app",)),
    (o.ContractViolated, "violations", ("app",)),
    (o.ContractStanding, "standings", ("app", "contract")),
    (d.EnsembleSelected, "ensembles", ("app",)),
    (d.PlacementRequested, "placement_requests", ("app",)),
    (d.PlacementDecided, "placements", ("service",)),
    (d.DeploymentObserved, "deployments", ("service",)),
    (d.ActionTaken, "actions", ("target",)),
    (q.RetrainingRequested, "retraining", ("app",)),
    (q.DiagnosisNarrated, "narratives", ("app",)),
    (r.ErasureRequested, "erasures", ("user",)),
    (d.DeadLetter, "dead_letters", ("topic",)),
    (r.ApplicationRegistered, "apps", ("app",)),
    (r.ServiceRegistered, "services", ("service",)),
    (r.InstanceReported, "instances", ("instance",)),
    (r.NodeReported, "nodes", ("node",)),
    (w.WorkerReported, "workers", ("worker",)),
    (r.ConsumerRegistered, "consumers", ("consumer",)),
    (r.ModelPublished, "models", ("model",)),
    (r.ContractRegistered, "contracts", ("contract",)),
    (r.WindowDefined, "windows", ("name",)),
    (r.MetricDefined, "metric_definitions", ("name",)),
    (q.RuleDefined, "rules", ("name",)),
    (q.SilenceDefined, "silences", ("name",)),
    (q.RemedyDefined, "remedies", ("name",)),
    (r.PolicySelected, "policies", ("scope",)),
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `default` is an SQL literal, empty for the type's own."""

    name: str
    type: str
    default: str = ""
    comment: str = ""

    def ddl(self) -> str:
        """Return the column as it stands in CREATE and ALTER TABLE."""
        default = f" DEFAULT {self.default}" if self.default else ""
        comment = f" COMMENT {literal(self.comment)}" if self.comment else ""
        return f"`{self.name}` {self.type}{default}{comment}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what it keeps, how it is ordered, and which column tells the newest of repeats."""

    name: str
    event: type[Event]
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    version: str
    comment: str

    def ddl(self) -> str:
        """Return CREATE TABLE IF NOT EXISTS for the current database."""
        columns = ",\n  ".join(column.ddl() for column in self.columns)
        order = ", ".join(f"`{name}`" for name in self.order)
        return (
            f"CREATE TABLE IF NOT EXISTS `{self.name}` (\n  {columns}\n)\n"
            f"ENGINE = ReplacingMergeTree({self.version})\nORDER BY ({order})\n"
            f"COMMENT {literal(self.comment)}"
        )


def literal(text: str) -> str:
    """Return a text as an SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@lru_cache(maxsize=1)
def tables() -> dict[type[Event], Table]:
    """Return the table of every event that is stored; snapshots are not."""
    return {event: _table(event, name, leading) for event, name, leading in _NAMES}


def objection_to_empty(name: str) -> str:
    """Return why a column, as `table.column`, cannot be stored empty; '' when it can."""
    called, _, column = name.partition(".")
    table = next((each for each in tables().values() if each.name == called), None)
    if table is None:
        return f"there is no table {called!r}"
    kinds = {each.name: each.type for each in table.columns if not each.name.startswith("_")}
    if column not in kinds:
        return f"table {called} has no column {column!r}; it has {', '.join(kinds)}"
    if column in (*table.order, table.version, "event_id", "request_id"):
        return f"rows of {called} are told apart, or found, by {column}"
    if "String" not in kinds[column] and not kinds[column].startswith(("Array", "Nullable")):
        return f"{name} is {kinds[column]}, which nothing is empty of"
    return ""


def _table(event: type[Event], name: str, leading: tuple[str, ...]) -> Table:
    schema = _inline(files.schema(event.__name__), {})
    home = home_of(event)
    columns = [_column(field) for field in schema["fields"]]
    names = {column.name for column in columns}
    derived = "event_id" in names and event.__module__ != r.__name__
    identity = ("_cluster", "event_id") if derived else PLACE
    comment = f"{event.__name__} on {home.name}{'' if name != 'tasks' else '<worker>'}: "
    return Table(
        name,
        event,
        (*columns, *_meta(home.compacted)),
        (*leading, *identity),
        "revision" if "revision" in names else "",
        comment + str(schema["doc"]),
    )


def _meta(compacted: bool) -> tuple[Column, ...]:
    few = "LowCardinality(String)"
    place = (
        Column("_cluster", few, comment="id of the Kafka cluster"),
        Column("_topic", few, comment="topic it stood on"),
        Column("_partition", "Int32", comment="partition, from 0"),
        Column("_offset", "Int64", comment="offset in the partition"),
        Column("_timestamp", _INSTANT, comment="record timestamp"),
        Column("_key", "String", comment="message key"),
    )
    deleted = Column("_deleted", "Bool", comment="a tombstone: the entry ended here")
    return (*place, deleted) if compacted else place


def _column(field: dict[str, Any]) -> Column:
    name = field["name"]
    kind = sql_type(field["type"], few=name in _FEW)
    return Column(name, kind, _default(field), field.get("doc", ""))


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, int | float):
        return repr(value) if value else ""
    return literal(value) if isinstance(value, str) and value else ""


def sql_type(kind: Any, *, few: bool = False) -> str:
    """Return the ClickHouse type of an Avro type; `few` for text with few different values.

    A nullable array is an array, empty for null, as ClickHouse has no other. Raises TypeError for
    what has no counterpart.
    """
    if isinstance(kind, list):
        inner = next(branch for branch in kind if branch != "null")
        if not isinstance(inner, str) and inner["type"] == "array":
            return sql_type(inner)
        text = sql_type(inner)
        return f"LowCardinality(Nullable({text}))" if few else f"Nullable({text})"
    if isinstance(kind, str):
        if kind not in _PRIMITIVES:
            raise TypeError(f"Avro type {kind!r} has no column type")
        text = _PRIMITIVES[kind]
        return f"LowCardinality({text})" if few and text == "String" else text
    return _complex(kind)


def _inline(kind: Any, named: dict[str, Any]) -> Any:
    """Repeat records where the schema refers to them by name."""
    if isinstance(kind, list):
        return [_inline(branch, named) for branch in kind]
    if isinstance(kind, str):
        return named.get(kind.rpartition(".")[2], kind)
    if kind["type"] == "array":
        return kind | {"items": _inline(kind["items"], named)}
    if kind["type"] != "record":
        return kind
    fields = [field | {"type": _inline(field["type"], named)} for field in kind["fields"]]
    named[kind["name"]] = kind | {"fields": fields}
    return named[kind["name"]]


def _complex(kind: dict[str, Any]) -> str:
    if kind.get("logicalType") == "timestamp-millis":
        return _INSTANT
    if kind["type"] == "array":
        return f"Array({sql_type(kind['items'])})"
    if kind["type"] == "record":
        return f"Tuple({', '.join(_member(kind, field) for field in kind['fields'])})"
    raise TypeError(f"Avro type {kind!r} has no column type")


def _member(record: dict[str, Any], field: dict[str, Any]) -> str:
    if record["name"] == TENSOR and field["name"] == "data":
        return "`length` Nullable(Int64)"
    return f"`{field['name']}` {sql_type(field['type'])}"
