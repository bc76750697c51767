"""Everything that a simulated run tells about itself. Pure."""

from typing import Any

from workers.accounting.account import Account
from workers.simulation.scenario import Scenario

_SAMPLES = 200


class Report(Account):
    """The account of a run of a scenario under an order."""

    def __init__(self, scenario: Scenario, order: str) -> None:
        names = [service.name for service in scenario.services]
        super().__init__(names, every_ms=scenario.duration_ms / _SAMPLES)
        self._scenario = scenario
        self._order = order

    @property
    def ended_at_ms(self) -> float:
        """Return when everything was over."""
        return self.until

    def summary(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        found = super().summary()
        return {
            "scenario": self._scenario.name,
            "order": self._order,
            "seed": self._scenario.seed,
            "ended_at_ms": found.pop("lasted_ms"),
            **found,
        }
