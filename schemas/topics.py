"""The topic table: what stands where, under which key, for how long.

Topics that are joined have equal partition counts: the requests group (requests, results,
responses, labels, keyed by request id) and the application group (observations, drifts, quality,
violations, ensembles, keyed by application).
"""

from dataclasses import dataclass
from operator import attrgetter

from schemas import closed as c
from schemas import decisions as d
from schemas import inference as i
from schemas import observing as o
from schemas import quality as q
from schemas import registrations as r
from schemas import signals as s
from schemas import working as w
from schemas.base import Event
from schemas.errors import UnknownContract

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PARTITIONS = 4
TASKS_PREFIX = "weir.tasks."


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table.

    `key` names the fields that make the message key, joined by '/', and `and_if` one that follows
    where it is not empty; `time` the field that says when the event happened; `retention_ms` is
    ignored for compacted topics. `mover` is the processor that sends messages home which stand in
    another partition than their key says; all others pass over such messages, which come to them
    again. Topics without a mover are written by Weir alone, and what stands there is at home.
    """

    name: str
    events: tuple[type[Event], ...]
    key: tuple[str, ...]
    partitions: int = 1
    compacted: bool = False
    retention_ms: int = 7 * DAY_MS
    max_bytes: int = 1_048_576
    time: str | None = None
    mover: str = ""
    and_if: str = ""

    def config(self, replication: int = 1) -> dict[str, str]:
        """Return the broker's topic configuration.

        Of three copies or more two must have a record before it counts as written; of fewer, one,
        which is what brokers do by themselves.
        """
        kept = {"max.message.bytes": str(self.max_bytes)}
        if replication >= 3:
            kept["min.insync.replicas"] = "2"
        if self.compacted:
            return {"cleanup.policy": "compact"} | kept
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)} | kept


SERIES = ("app", "stage", "service", "instance", "node", "metric")
"""Fields that identify a series."""

_TABLE = (
    Topic("weir.apps", (r.ApplicationRegistered,), ("app",), compacted=True),
    Topic("weir.services", (r.ServiceRegistered,), ("service",), compacted=True),
    Topic("weir.instances", (r.InstanceReported,), ("instance",), compacted=True),
    Topic("weir.nodes", (r.NodeReported,), ("node",), compacted=True),
    Topic("weir.workers", (w.WorkerReported,), ("worker",), compacted=True),
    Topic("weir.consumers", (r.ConsumerRegistered,), ("consumer",), compacted=True),
    Topic("weir.models", (r.ModelPublished,), ("model",), compacted=True),
    Topic("weir.contracts", (r.ContractRegistered,), ("contract",), compacted=True),
    Topic(
        "weir.definitions",
        (
            r.WindowDefined,
            r.MetricDefined,
            q.RuleDefined,
            q.SilenceDefined,
            q.RemedyDefined,
        ),
        ("name",),
        compacted=True,
    ),
    Topic("weir.policies", (r.PolicySelected,), ("scope",), compacted=True),
    Topic(
        "weir.metrics", (o.MetricReport,), SERIES, PARTITIONS, time="event_time", mover="observe"
    ),
    Topic("weir.logs", (s.LogReported,), ("app",), PARTITIONS, time="event_time"),
    Topic("weir.spans", (s.SpanReported,), ("app",), PARTITIONS, time="started_at"),
    Topic(
        "weir.requests",
        (i.InferenceRequest,),
        ("request_id",),
        PARTITIONS,
        time="created_at",
        mover="route",
    ),
    Topic(
        "weir.results",
        (i.InferenceResult,),
        ("request_id",),
        PARTITIONS,
        time="finished_at",
        mover="route",
    ),
    Topic("weir.responses", (i.InferenceResponse,), ("request_id",), PARTITIONS),
    Topic(
        "weir.labels",
        (i.GroundTruth,),
        ("request_id",),
        PARTITIONS,
        time="known_at",
        mover="derive",
    ),
    Topic("weir.observations", (o.Observation,), ("app",), PARTITIONS),
    Topic("weir.late", (o.LateMetric,), ("app",), PARTITIONS),
    Topic(
        "weir.closed",
        (c.WindowsClosed,),
        ("topic",),
        retention_ms=HOUR_MS,
        max_bytes=4 * 1_048_576,
    ),
    Topic("weir.drifts", (o.DriftDetected,), ("app",), PARTITIONS),
    Topic("weir.quality", (o.QualityEvaluated,), ("app",), PARTITIONS),
    Topic("weir.violations", (o.ContractViolated,), ("app",), PARTITIONS),
    Topic("weir.standings", (o.ContractStanding,), ("app",), PARTITIONS),
    Topic(
        "weir.ensembles",
        (d.EnsembleSelected,),
        ("app",),
        PARTITIONS,
        compacted=True,
        and_if="consumer",
    ),
    Topic("weir.control", (d.PlacementRequested,), ("app",)),
    Topic("weir.placements", (d.PlacementDecided,), ("service",), compacted=True),
    Topic("weir.deployments", (d.DeploymentObserved,), ("service",), compacted=True),
    Topic("weir.actions", (d.ActionTaken,), ("target",)),
    Topic("weir.retraining", (q.RetrainingRequested,), ("app",), retention_ms=30 * DAY_MS),
    Topic("weir.narratives", (q.DiagnosisNarrated,), ("app",)),
    Topic("weir.erasures", (r.ErasureRequested,), ("user",), retention_ms=365 * DAY_MS),
    Topic("weir.deadletters", (d.DeadLetter,), ("topic",)),
    Topic("weir.snapshots", (d.Snapshot,), ("key",), compacted=True, max_bytes=8 * 1_048_576),
)

TOPICS: dict[str, Topic] = {topic.name: topic for topic in _TABLE}
_TASKS = Topic(TASKS_PREFIX, (i.InferenceTask,), ("request_id",), retention_ms=HOUR_MS)
_HOME: dict[type[Event], Topic] = {
    event: topic for topic in (*_TABLE, _TASKS) for event in topic.events
}
_KEYS = {event: attrgetter(*topic.key) for event, topic in _HOME.items()}
CATALOGUE: tuple[Topic, ...] = tuple(topic for topic in _TABLE if topic.compacted)[:-1]
"""Compacted topics that describe the world; all but the snapshots."""


def topic_named(name: str) -> Topic:
    """Return the row of a topic, weir.tasks.<worker> included.

    Raises UnknownContract when the table has no such topic.
    """
    if name.startswith(TASKS_PREFIX) and len(name) > len(TASKS_PREFIX):
        return Topic(name, _TASKS.events, _TASKS.key, retention_ms=_TASKS.retention_ms)
    if name not in TOPICS:
        raise UnknownContract(f"no topic {name!r} in the topic table; known: {', '.join(TOPICS)}")
    return TOPICS[name]


def home_of(event: type[Event]) -> Topic:
    """Return the row of the topic on which events of this class stand."""
    return _HOME[event]


def task_topic(worker: str) -> str:
    """Return the task topic of a worker."""
    return f"{TASKS_PREFIX}{worker}"


def topic_of(event: Event) -> str:
    """Return the name of the topic that this event goes to."""
    if isinstance(event, i.InferenceTask):
        return task_topic(event.worker)
    return _HOME[type(event)].name


def key_of(event: Event) -> str:
    """Return the message key of this event."""
    found = _KEYS[type(event)](event)
    key = "/".join(map(str, found)) if type(found) is tuple else str(found)
    more = _HOME[type(event)].and_if
    return f"{key}/{getattr(event, more)}" if more and getattr(event, more) else key


def subject_of(event: type[Event], topic: str | None = None) -> str:
    """Return the registry subject: TopicNameStrategy, TopicRecordNameStrategy where types share.

    Task topics share the one subject weir.tasks-value.
    """
    home = _HOME[event]
    if home is _TASKS:
        return "weir.tasks-value"
    name = topic or home.name
    return f"{name}-weir.{event.__name__}" if len(home.events) > 1 else f"{name}-value"
