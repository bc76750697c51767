"""Errors of the simulation.

WorkerError
├── ScenarioRefused     a scenario that cannot be used; names the field and what would do
└── SimulationFailed    an order that does what no worker could carry out
"""

from workers.errors import WorkerError


class ScenarioRefused(WorkerError):
    """A scenario that cannot be used; the message names the field and what would do."""


class SimulationFailed(WorkerError):
    """An order asked for what no worker could carry out; the message says what."""
