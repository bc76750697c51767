"""Errors of sending work elsewhere.

WorkerError
└── NotDispatched     no other worker answered; says what became of the task
"""

from workers.errors import WorkerError


class NotDispatched(WorkerError):
    """No other worker answered; the message says what became of the task."""
