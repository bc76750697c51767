"""Errors of the processes.

WorkerError
├── Unavailable              something outside that is needed cannot be reached (exit code 3)
│   ├── KafkaUnavailable
│   ├── RegistryUnavailable
│   └── ClickHouseUnavailable
│       └── DiskTrouble      it cannot write its disk, or read what it wrote
├── SchemaRefused            the registry refused a schema; the message says what is incompatible
├── ClickHouseRefused        ClickHouse refused a statement; the message is its own
│   └── RowsRefused          it refused rows for what they hold
├── Aborted                  what was under way is void and must be done again
├── RecoveryRefused          what somebody wants mended by hand cannot be, or not so
└── HostStopped              a host had to stop; the message says why
    ├── TooManyBad           more dead letters than it may write
    ├── SnapshotRefused      its state was saved by another format or under other parameters
    └── Fenced               another process took over its transactional id
"""


class WorkerError(Exception):
    """Base of all errors of this package."""


class Unavailable(WorkerError):
    """Something outside that is needed cannot be reached; commands end with exit code 3."""


class KafkaUnavailable(Unavailable):
    """No broker answers, or it refuses us."""


class RegistryUnavailable(Unavailable):
    """The schema registry does not answer, or refuses us."""


class ClickHouseUnavailable(Unavailable):
    """ClickHouse does not answer."""


class DiskTrouble(ClickHouseUnavailable):
    """ClickHouse cannot write its disk, as when it is full, or cannot read what it wrote."""


class ClickHouseRefused(WorkerError):
    """ClickHouse refused a statement; the message is its own, `code` its number if it gave one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class RowsRefused(ClickHouseRefused):
    """ClickHouse refused rows for what they hold; others of their block may be right."""


class SchemaRefused(WorkerError):
    """The registry refused a schema; the message says what is incompatible."""


class Aborted(WorkerError):
    """A transaction is void: what it held must be processed again from the last snapshot."""


class RecoveryRefused(WorkerError):
    """What somebody wants mended by hand cannot be, or not so; the message says what can."""


class HostStopped(WorkerError):
    """A host had to stop; the message says why."""


class TooManyBad(HostStopped):
    """More messages became dead letters than a host tolerates."""


class SnapshotRefused(HostStopped):
    """A saved state does not fit: starting again does not help; the message says what does."""


class Fenced(HostStopped):
    """Another process took over the transactional id of this one."""
