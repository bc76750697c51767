"""Errors of the sources; they extend the tree of workers.errors.

WorkerError
├── UnusableSource           a source that cannot be read; names the file and the place in it
└── SourceLost               a camera that gave nothing for too long, a port that is taken
"""

from workers.errors import WorkerError


class UnusableSource(WorkerError):
    """A source that cannot be read; the message names the file and the place in it."""


class SourceLost(WorkerError):
    """A camera that gave nothing for too long, a port that is taken; the message says why."""
