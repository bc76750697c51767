"""Settings of a process, as frozen sections that are passed down; nothing here reads anything.

`streams.settings` reads them from a file and the environment.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr

from workers.settings_outside import (
    GatewaySettings,
    NarrateSettings,
    NotifySettings,
    PayloadSettings,
    PrivacySettings,
)
from workers.settings_section import Section


class KafkaSettings(Section):
    """How to reach Kafka."""

    bootstrap: str = Field(default="127.0.0.1:9092", description="host:port, comma-separated")
    cluster: str = Field(default="", description="cluster id; asked of the broker when empty")
    security_protocol: str = Field(
        default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"
    )
    sasl_mechanism: str = Field(default="", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca: str = Field(default="", description="path of the CA certificates")
    ssl_certificate: str = Field(default="", description="path of the client certificate")
    ssl_key: str = Field(default="", description="path of the client key")
    fetch_wait_ms: int = Field(
        default=5, ge=1, description="longest wait of a fetch for more data, ms"
    )
    fetch_bytes: int = Field(
        default=1,
        ge=1,
        description="readers that can wait do so for this much data; more than 1 only where a "
        "broker answers each fetch at a price",
    )
    session_timeout_ms: int = Field(
        default=6000, ge=1000, description="member counts as lost after, ms"
    )
    transaction_timeout_ms: int = Field(
        default=10_000,
        ge=1000,
        le=10_000,
        description="an open transaction whose process is gone hides later records for so long, ms",
    )
    replication: int = Field(
        default=1, ge=1, description="replication factor of topics that are created"
    )
    isolation: Literal["read_committed", "read_uncommitted"] = Field(
        default="read_committed",
        description="what is read; read_uncommitted only where a broker may hide what is committed",
    )


class RegistrySettings(Section):
    """How to reach the schema registry."""

    url: str = "http://127.0.0.1:8081"
    username: str = ""
    password: SecretStr = SecretStr("")
    ssl_ca: str = ""


class ClickHouseSettings(Section):
    """How to reach ClickHouse."""

    host: str = "127.0.0.1"
    port: int = Field(default=8123, ge=1, le=65535)
    username: str = "default"
    password: SecretStr = SecretStr("")
    database: str = "weir"
    secure: bool = False


class HostSettings(Section):
    """How the batch host works."""

    batch: int = Field(default=5000, ge=1, description="most messages a poll")
    poll_ms: int = Field(default=50, ge=1, description="longest wait for the first message, ms")
    slot: str = Field(
        default="0", description="static slot of this process; part of transactional ids"
    )
    max_bad_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="share of dead letters in 1,000 messages at which it stops",
    )
    patience_s: float = Field(
        default=15.0,
        gt=0,
        description="standing still so long while records wait is not live any more, s",
    )
    health_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="port of /live, /ready, /metrics under `faust -A`; 0 for none",
    )


class NodeSection(Section):
    """One simulated node of the local actuator."""

    name: str
    cpu_milli: int = Field(gt=0)
    memory_mib: int = Field(gt=0)
    speed: float = Field(default=1.0, gt=0, description="execution speed relative to this machine")
    zone: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class LocalSettings(Section):
    """The local actuator: which nodes this machine plays."""

    nodes: tuple[NodeSection, ...] = ()
    heartbeat_ms: int = Field(default=1000, ge=50)
    expiry_ms: int = Field(default=5000, ge=200)
    cooldown_ms: int = Field(
        default=15000, ge=0, description="a node whose worker crashed rests so long"
    )
    hold: bool = Field(
        default=False,
        description="hold workers to the CPU and memory of what is placed on their nodes",
    )
    overhead_mib: int = Field(
        default=512, ge=0, description="memory of a worker that is held, beside its services'"
    )
    keeper: int = Field(
        default=0,
        ge=0,
        description="process with which workers end; 0 is the actuator that started them",
    )


class KubeSettings(Section):
    """The Kubernetes actuator: which cluster, what may run there, and as what."""

    kubeconfig: str = Field(
        default="", description="path; empty: the cluster around us, else KUBECONFIG"
    )
    context: str = Field(default="", description="context of the kubeconfig; empty: its current")
    installation: str = Field(
        default="",
        max_length=40,
        pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$",
        description="name of this installation, where a cluster has several: each sees its own",
    )
    namespace: str = Field(
        default="weir-workloads", min_length=1, description="where services run that name none"
    )
    host_paths: tuple[str, ...] = Field(
        default=(), description="folders of nodes that services may mount"
    )
    image: str = Field(default="weir-worker:0.1.0", description="image of workers")
    gpu_image: str = Field(default="", description="image of workers with GPUs; empty: as image")
    config: str = Field(
        default="weir", description="ConfigMap with Weir's settings beside the workers"
    )
    secret: str = Field(
        default="weir-credentials", description="Secret with Weir's passwords beside the workers"
    )
    account: str = Field(default="weir", description="service account of workers")
    models: str = Field(default="", description="claim with models, at /models; empty for none")
    gpu: str = Field(default="nvidia.com/gpu", description="resource of whole GPUs")
    share: str = Field(
        default="weir.dev/gpu-milli",
        description="resource of thousandths of GPUs, where nodes offer it",
    )
    discover: bool = Field(default=True, description="report the nodes of the cluster")
    others: bool = Field(default=True, description="count what pods of others request of nodes")
    heartbeat_ms: int = Field(default=10_000, ge=100, description="how often nodes are reported")
    expiry_ms: int = Field(
        default=45_000, ge=500, description="nodes not reported so long are unknown"
    )
    orphan_ms: int = Field(
        default=60_000,
        ge=0,
        description="what belongs to a service that the catalogue does not know goes after so long",
    )
    threads: int = Field(default=8, ge=1, le=32, description="questions to the API at once")

    @property
    def owner(self) -> str:
        """Return what marks all that this installation makes, and owns the fields it sets."""
        return f"weir-{self.installation}" if self.installation else "weir"


class WorkerSettings(Section):
    """One inference worker."""

    node: str = ""
    worker: str = ""
    serves: str = Field(
        default="",
        description="the one service or instance that it serves; empty: all placed on its node",
    )
    speed: float = Field(default=1.0, gt=0)
    heartbeat_ms: int = Field(default=500, ge=50)
    expiry_ms: int = Field(default=2500, ge=200)
    order: str = Field(
        default="weir",
        min_length=1,
        description="what is executed next: weir, priority-edf, fifo, least-laxity, mapscore, "
        "or an order that is installed (entry points weir.orders)",
    )
    priority_weight: float = Field(
        default=10.0,
        ge=1,
        allow_inf_nan=False,
        description="how many times as much an answer is worth as one of the next lower priority",
    )
    admit: bool = Field(
        default=True, description="reject tasks whose predicted end is after their deadline"
    )
    spare: bool = Field(
        default=True, description="take on less while the machine is hot or short of memory"
    )
    queue_ms: int = Field(
        default=2000, ge=1, description="most predicted work in all queues together, ms"
    )
    queue_tasks: int = Field(default=1000, ge=1, description="most tasks in all queues together")
    service_queue_ms: int = Field(
        default=0, ge=0, description="most that waits for one instance, ms; 0: as much as in all"
    )
    service_queue_tasks: int = Field(
        default=0, ge=0, description="most tasks that wait for one instance; 0: as many as in all"
    )
    drop: Literal["oldest", "newest", "lowest-priority", "replace-by-key"] = Field(
        default="lowest-priority",
        description="who goes when the queue of an instance is full; replace-by-key: a task takes "
        "the place of one whose request's id is the same up to its last '/'",
    )
    max_age_ms: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="longest wait of a task, ms; 0 for any"
    )
    max_gap_ms: float = Field(
        default=5000.0,
        gt=0,
        allow_inf_nan=False,
        description="longest time that an instance with work that can be in time is not served, ms",
    )
    max_batch: int = Field(default=32, ge=1, description="most tasks executed together")
    summaries: bool = Field(
        default=True, description="tell in each result what its inputs looked like, for drift"
    )
    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="port of /metrics, /live, /ready; 0 for none"
    )
    spool_mib: int = Field(
        default=64, ge=1, description="most that waits on disk while Kafka is away, MiB"
    )


class LocalCallSettings(Section):
    """Where a worker answers callers of its own machine: the Open Inference Protocol over HTTP."""

    port: int = Field(default=0, ge=0, le=65535, description="port below /v2; 0 for none")
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="address; there is no password, so others than the loopback are warned of",
    )
    deadline_ms: float = Field(
        default=1000.0,
        gt=0,
        le=600_000,
        description="time for requests that name no deadline_ms of their own, ms",
    )
    callers: int = Field(default=64, ge=1, description="most connections at once")
    advertise: str = Field(
        default="",
        pattern="^(https?://[^/@]+)?$",
        description="URL at which other workers reach it; empty: they send it nothing",
    )
    elsewhere: bool = Field(
        default=False, description="ask other workers for calls that this one has no time for"
    )
    body_mib: int = Field(default=16, ge=1, description="largest request, MiB")


class ArtifactSettings(Section):
    """Where models are fetched from, and how many bytes of them are kept."""

    cache: str = Field(default="", description="folder of fetched models; empty: in data_dir")
    cache_mib: int = Field(default=8192, ge=1, description="most that is kept of them, MiB")
    timeout_s: float = Field(default=30.0, gt=0, description="longest silence of a source, s")
    attempts: int = Field(
        default=4, ge=1, description="tries in a row that bring nothing before a source is given up"
    )
    s3_endpoint: str = Field(
        default="",
        pattern="^(https?://[^/]+/?)?$",
        description="S3-compatible store, such as http://minio:9000; empty: Amazon's",
    )
    s3_region: str = Field(default="us-east-1", min_length=1)
    s3_access_key: str = Field(default="", description="empty: requests are not signed")
    s3_secret_key: SecretStr = SecretStr("")
    s3_session_token: SecretStr = SecretStr("")


class TargetSection(Section):
    """One Prometheus endpoint that the intake scrapes."""

    url: str = Field(pattern="^https?://[^/]+", description="where it serves its metrics")
    every_s: float = Field(default=15.0, ge=0.1, description="time between two scrapes, s")
    timeout_s: float = Field(default=5.0, gt=0, description="longest wait for an answer, s")
    labels: dict[str, str] = Field(
        default={}, description="labels of all its series, such as app and node"
    )


class IntakeSettings(Section):
    """What is taken from systems that know nothing of Weir, and how much of it.

    `*_from` name attributes or labels, comma-separated, best first; '.' and '_' are the same.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=4318, ge=0, le=65535, description="0 for any that is free")
    token: SecretStr = Field(default=SecretStr(""), description="bearer token; empty asks for none")
    app: str = Field(default="", description="application of what names none")
    app_from: str = "weir.app,service.namespace,app"
    stage_from: str = "weir.stage,stage"
    service_from: str = "weir.service,service.name,service,k8s.deployment.name,job"
    instance_from: str = "weir.instance,service.instance.id,k8s.pod.name,container.id,instance"
    node_from: str = "weir.node,k8s.node.name,host.name,node,host.id"
    labels: str = Field(
        default="*", description="labels kept in names of metrics, comma-separated; * for all"
    )
    quantiles: str = Field(
        default="0.5,0.9,0.95,0.99",
        pattern=r"^(0\.\d+(,0\.\d+)*)?$",
        description="what is estimated of histograms",
    )
    max_body: int = Field(default=4 * 1_048_576, ge=1024, description="unpacked bytes a request")
    max_points: int = Field(default=20_000, ge=1, description="points, logs or spans a request")
    max_requests: int = Field(default=64, ge=1, description="most requests under way")
    max_series: int = Field(default=100_000, ge=1, description="cumulative series remembered")
    buffer_events: int = Field(
        default=50_000, ge=1, description="most events on their way to Kafka"
    )
    rate_per_s: float = Field(default=0.0, ge=0, description="most events a second; 0 for no limit")
    answer_s: float = Field(
        default=5.0, ge=0.1, le=60, description="events that Kafka has not by then are refused, s"
    )
    log_rate: float = Field(default=1.0, gt=0, le=1, description="share of logs kept")
    span_rate: float = Field(default=1.0, gt=0, le=1, description="share of traces kept")
    targets: tuple[TargetSection, ...] = ()
    qoa4ml_topic: str = Field(default="", description="topic of QoA4ML reports in JSON, if any")


class Identity(Section):
    """Who a probe reports for."""

    app: str = ""
    run: str = ""
    user: str = ""
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""


class AuthoritySettings(Section):
    """What may be run, and who may change what; `*` in a list allows any."""

    schemes: tuple[str, ...] = Field(
        default=("file",), description="schemes by which artifacts may be fetched"
    )
    registries: tuple[str, ...] = Field(
        default=(), description="where images may come from: hosts, or beginnings of paths there"
    )
    namespaces: tuple[str, ...] = Field(
        default=(), description="namespaces that services may ask for, beside the actuator's own"
    )
    anonymous: bool = Field(
        default=False,
        description="whether who is nobody by name (identity.user) may change what has an owner; "
        "where it is not said, commands allow it beside a running `weir up`",
    )


class AgentSettings(Section):
    """The node agent."""

    token: SecretStr = Field(
        default=SecretStr(""),
        description="what agents that measure the way between them share; "
        "needed to listen elsewhere than on the loopback",
    )


class SourceSettings(Section):
    """The HTTP port of a source."""

    token: SecretStr = Field(
        default=SecretStr(""),
        description="bearer token; needed to listen elsewhere than on the loopback",
    )
    max_body: int = Field(default=4 * 1_048_576, ge=1024, description="bytes of a request")
    waiting: int = Field(default=64, ge=1, description="most frames that wait to be sent")


class Settings(Section):
    """All sections together."""

    kafka: KafkaSettings = KafkaSettings()
    registry: RegistrySettings = RegistrySettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    host: HostSettings = HostSettings()
    actuator: Literal["local", "kubernetes"] = Field(
        default="local", description="what carries placements out"
    )
    local: LocalSettings = LocalSettings()
    kube: KubeSettings = KubeSettings()
    worker: WorkerSettings = WorkerSettings()
    local_calls: LocalCallSettings = LocalCallSettings()
    artifacts: ArtifactSettings = ArtifactSettings()
    intake: IntakeSettings = IntakeSettings()
    identity: Identity = Identity()
    authority: AuthoritySettings = AuthoritySettings()
    agent: AgentSettings = AgentSettings()
    source: SourceSettings = SourceSettings()
    payloads: PayloadSettings = PayloadSettings()
    privacy: PrivacySettings = PrivacySettings()
    gateway: GatewaySettings = GatewaySettings()
    narrate: NarrateSettings = NarrateSettings()
    notify: NotifySettings = NotifySettings()
    data_dir: Path = Path("weir-data")
    log_level: str = Field(
        default="INFO",
        pattern="(?i)^(debug|info|warning|error|critical)$",
        description="least told",
    )
    log_json: bool = False

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give a child process the same settings."""
        variables: dict[str, str] = {}
        for name, value in self:
            if isinstance(value, Section):
                pairs = {f"WEIR_{name}__{key}": inner for key, inner in value}
                variables |= {key.upper(): _text(inner) for key, inner in pairs.items()}
            else:
                variables[f"WEIR_{name}".upper()] = _text(value)
        return variables


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        told = (
            item.model_dump(mode="json") if isinstance(item, Section) else item for item in value
        )
        return json.dumps(list(told))
    return str(value)
