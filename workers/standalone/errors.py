"""Errors of runs without Kafka.

WorkerError
└── RunRefused      a file of a run that cannot be used; names file, field and what would do
"""

from workers.errors import WorkerError


class RunRefused(WorkerError):
    """A file of a run that cannot be used; the message names file, field and what would do."""
