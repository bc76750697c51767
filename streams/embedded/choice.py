"""Which Kafka the stack runs on, as the command line says it."""

from streams.embedded.apache import Apache
from streams.embedded.broker import DEFAULT_LIMIT_MIB, Broker
from streams.embedded.cluster import Cluster
from streams.embedded.external import External
from streams.errors import StackError
from workers.settings import Settings

EMBEDDED, APACHE = "embedded", "apache"


def chosen(
    settings: Settings,
    broker: str = EMBEDDED,
    bootstrap: str | None = None,
    port: int | None = None,
    limit_mib: int = DEFAULT_LIMIT_MIB,
) -> Cluster:
    """Return the cluster at `bootstrap`, or else a broker of the stack's own.

    Apache Kafka keeps its log below the data directory. Raises StackError for another name.
    """
    directory = settings.data_dir.absolute()
    if bootstrap is not None:
        return External(settings.kafka.model_copy(update={"bootstrap": bootstrap}))
    if broker == APACHE:
        return Apache(directory / "kafka", ports=(port,) if port else ())
    if broker == EMBEDDED:
        return Broker(directory / "logs" / "broker.log", port, limit_mib)
    raise StackError(f"--broker is {EMBEDDED} or {APACHE}, not {broker!r}")
