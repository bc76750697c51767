"""Scenarios for tests, made of few words."""

from typing import Any

from workers.simulation.reading import scenario_of
from workers.simulation.scenario import Scenario


def service(name: str = "one", **fields: Any) -> dict[str, Any]:
    """Return a service: every 10 ms a frame of 4 ms, due within 20, where nothing else is said."""
    usual: dict[str, Any] = {
        "name": name,
        "budget_ms": 20,
        "arrivals": {"kind": "periodic", "every_ms": 10},
        "service_time": {"kind": "constant", "ms": 4},
    }
    return usual | fields


def content(*services: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return what a file says: these services for 100 ms."""
    return {"name": "made", "duration_ms": 100, "services": list(services)} | fields


def made(*services: dict[str, Any], **fields: Any) -> Scenario:
    """Return the scenario of `content`."""
    return scenario_of(content(*services, **fields), "made")
