"""Errors of documents that others wrote.

WorkerError
└── DocumentRefused     one that cannot be used; names file, field and remedy
"""

from workers.errors import WorkerError


class DocumentRefused(WorkerError):
    """A document that cannot be used; the message names file, field and what would do."""
