"""Errors of placement.

PlacementError
├── InvalidParameters    parameters that make no sense (raised while the processor is built)
├── ClusterUnknown       no usable kubeconfig; names where it was looked for, and the remedy
├── NotDeployable        what a service asks of Kubernetes is not allowed, or makes no sense
├── TraceRefused         a trace of a cluster that cannot be used; names file, line, field, remedy
└── Overcommitted        a copy was put where it does not fit: a defect of an algorithm

What cannot be placed or done is no error: it is a decision or an outcome that says so.
"""


class PlacementError(Exception):
    """Base of all errors of this package."""


class InvalidParameters(PlacementError):
    """Parameters that make no sense; the message names the one and what is allowed."""


class ClusterUnknown(PlacementError):
    """No usable kubeconfig; the message names where it was looked for, and the remedy."""


class NotDeployable(PlacementError):
    """What a service asks of Kubernetes is not allowed; `policy` names the rule, `reason` why."""

    def __init__(self, policy: str, reason: str) -> None:
        super().__init__(f"{policy}: {reason}")
        self.policy = policy
        self.reason = reason


class TraceRefused(PlacementError):
    """A trace that cannot be used; the message names file, line, field, and what would do."""


class Overcommitted(PlacementError):
    """A copy was put where it does not fit, or taken away from where it is not."""
