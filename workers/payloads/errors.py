"""Errors of the payload store.

WorkerError
└── PayloadError             the message says which payload, and what to do
    ├── PayloadLost          what a reference names is not there, or is something else
    └── PayloadRefused       what is to be stored cannot be
"""

from workers.errors import WorkerError


class PayloadError(WorkerError):
    """Base of what goes wrong with payloads."""


class PayloadLost(PayloadError):
    """What a reference names is not in the store, or is not what its digest says."""


class PayloadRefused(PayloadError):
    """A payload is too large for the store, or its folder cannot be written."""
