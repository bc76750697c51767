"""Arrivals whose instants stand in a file of their own. Pure."""

from collections.abc import Callable, Sequence

from pydantic import ValidationError

from workers.errors import WorkerError
from workers.simulation.arrivals import Arrivals, Trace
from workers.wording import told

Recorded = Callable[[str, str], Sequence[float]]
"""Reads the instants (ms) of a file that a field names; it stands beside the one with the field."""


def with_instants(
    arrivals: Arrivals, field: str, recorded: Recorded | None, refusal: type[WorkerError]
) -> Arrivals:
    """Return arrivals with the instants of the file that they name, if they do.

    `field` is called so in messages. Raises `refusal`, and what `recorded` raises.
    """
    if not isinstance(arrivals, Trace) or not arrivals.file:
        return arrivals
    if recorded is None:
        raise refusal(f"{field}: files are not read here; give at_ms")
    content = {"kind": "trace", "at_ms": tuple(recorded(arrivals.file, field))}
    try:
        return Trace.model_validate(content)
    except ValidationError as error:
        why = told(error, content, Trace, "instants")
        raise refusal(f"{field}: {arrivals.file}: {why}") from None
