"""Requests of people that copies of services run, beside those that selections make. Pure."""

from collections.abc import Mapping

from schemas.decisions import PlacementRequested, ServiceDemand
from schemas.identity import stable_id


def requests(
    wanted: Mapping[str, tuple[str, int]], reason: str, now_ms: int
) -> list[PlacementRequested]:
    """Return a request for each application; `wanted` has application and copies by service."""
    demands: dict[str, list[ServiceDemand]] = {}
    for service, (app, replicas) in wanted.items():
        demands.setdefault(app, []).append(ServiceDemand(service=service, replicas=replicas))
    return [
        PlacementRequested(
            event_id=stable_id("asked", app, now_ms, *(repr(one) for one in asked)),
            kind="service",
            subject=asked[0].service,
            app=app,
            demands=tuple(asked),
            reason=reason,
            requested_at=now_ms,
        )
        for app, asked in demands.items()
    ]
