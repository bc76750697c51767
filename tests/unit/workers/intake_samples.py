"""Parts of OpenTelemetry's messages, as JSON has them."""

from typing import Any

NOW_MS = 1_900_000_000_000
BEGAN = NOW_MS * 1_000_000
SHOP = {"service.namespace": "shop", "service.name": "detector"}


def attributes(given: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in given.items()]
