"""Errors of the runtimes; they extend the tree of workers.errors.

WorkerError
└── RuntimeFailure           a model cannot be used here; the message says why
    ├── ArtifactMissing      there is no such file, or it cannot be fetched from here
    │   └── ArtifactTooLarge it does not fit into what the cache may hold
    ├── DigestMismatch       the file is not the one that was registered
    ├── BrokenModel          the runtime cannot read the file, or the model cannot be served
    ├── ProviderMissing      this machine lacks the device that the variant asks for
    └── ExecutionFailed      the model refused inputs of the right shape, or gave nonsense
"""

from workers.errors import WorkerError


class RuntimeFailure(WorkerError):
    """A model cannot be used here; the message says why."""


class ArtifactMissing(RuntimeFailure):
    """There is no such file, or it cannot be fetched from here."""


class ArtifactTooLarge(ArtifactMissing):
    """It does not fit into what the cache may hold beside what is in use."""


class DigestMismatch(RuntimeFailure):
    """The file is not the one that was registered."""


class BrokenModel(RuntimeFailure):
    """The runtime cannot read the file, or the model cannot be served."""


class ProviderMissing(RuntimeFailure):
    """This machine lacks the device that the variant asks for."""


class ExecutionFailed(RuntimeFailure):
    """The model refused inputs of the right shape, or gave nonsense."""
