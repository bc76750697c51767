"""Errors of a worker that is cut off.

WorkerError (workers.errors)
├── StoreTrouble         the worker's file on disk cannot be written or read
└── NotListening         local callers cannot be listened to where the settings say
LocalRefusal             a local caller is told why: a status of HTTP and a reason
"""

from workers.errors import WorkerError


class StoreTrouble(WorkerError):
    """The worker's file on disk cannot be written or read; the message says why."""


class NotListening(WorkerError):
    """Local callers cannot be listened to where the settings say."""


class LocalRefusal(Exception):
    """A call is not answered as it was asked: a status of HTTP and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
