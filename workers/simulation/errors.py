"""Errors of the simulation.

WorkerError
└── ScenarioRefused     a scenario that cannot be used; names the field and what would do
"""

from workers.errors import WorkerError


class ScenarioRefused(WorkerError):
    """A scenario that cannot be used; the message names the field and what would do."""
