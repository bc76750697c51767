"""Errors of the worker; they extend the tree of workers.errors.

WorkerError
└── UnusableInput            a task's tensors do not fit the model; the message says where
"""

from workers.errors import WorkerError


class UnusableInput(WorkerError):
    """A task's tensors do not fit the model; the message says where."""
