"""Errors of the sources; they extend the tree of workers.errors.

WorkerError
└── UnusableSource           a source that cannot be read; names the file and the place in it
"""

from workers.errors import WorkerError


class UnusableSource(WorkerError):
    """A source that cannot be read; the message names the file and the place in it."""
