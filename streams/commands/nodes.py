"""`weir nodes`: what the nodes have and how they are."""

from typing import Any

import typer

from streams.commands.nouns import add_looking

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("node", "status", "zone", "cpu m", "used", "memory MiB", "gpus", "speed", "heard of")


def _row(node: Any, now_ms: int) -> tuple[Any, ...]:
    from streams.commands.output import since

    status = node.status if node.expires_at > now_ms else f"{node.status}, expired"
    return (
        node.node,
        status,
        node.zone,
        node.cpu_milli,
        node.cpu_used_milli,
        node.memory_mib,
        len(node.gpus),
        node.speed,
        since(node.heartbeat, now_ms),
    )


add_looking(app, "NodeReported", "node", COLUMNS, _row)
