"""The metrics that exist without anyone's doing: what `derive` makes of results and labels.

Contracts and rules may name these and the metrics that MetricDefined declares.
"""

from collections.abc import Iterable
from dataclasses import dataclass

CLASS_ACCURACY = "accuracy.class."
"""Prefix of the accuracy per true class, followed by the class."""


@dataclass(frozen=True, slots=True)
class DerivedMetric:
    """A metric of derive: its unit, what it says, and at which levels it is reported.

    Levels: instance (app, stage, service, instance, node), service (app, stage, service),
    app (app alone).
    """

    name: str
    unit: str
    levels: tuple[str, ...]
    description: str


DERIVED: dict[str, DerivedMetric] = {
    metric.name: metric
    for metric in (
        DerivedMetric("latency", "ms", ("instance",), "queue and execution of one result"),
        DerivedMetric("queue", "ms", ("instance",), "time a task waited in its worker"),
        DerivedMetric("execution", "ms", ("instance",), "time a task took in the runtime"),
        DerivedMetric("confidence", "", ("instance", "app"), "probability of the answered class"),
        DerivedMetric("failure", "", ("instance",), "1 when a result is not ok, else 0"),
        DerivedMetric("response_latency", "ms", ("app",), "request made to answer given"),
        DerivedMetric("answered", "", ("app",), "1 when a request got an answer, else 0"),
        DerivedMetric("deadline_met", "", ("app",), "1 when the answer was in time, else 0"),
        DerivedMetric("accuracy", "", ("service", "app"), "1 when the label was right, else 0"),
        DerivedMetric("error", "", ("service", "app"), "1 when the label was wrong, else 0"),
        DerivedMetric("agreement", "", ("service",), "1 when a member agreed with the answer"),
    )
}
"""Every metric of derive by name, but the accuracies per class."""

RELATED: dict[str, str] = {"response_latency": "latency"}
"""For metrics that no service reports: the one that tells the services' part in it."""


def known(metric: str, defined: Iterable[str] = ()) -> bool:
    """Return whether anyone can report a metric; `defined` are those of MetricDefined."""
    per_class = metric.startswith(CLASS_ACCURACY) and len(metric) > len(CLASS_ACCURACY)
    return metric in DERIVED or per_class or metric in set(defined)


def listing(defined: Iterable[str] = ()) -> str:
    """Return the known metrics as text for a message."""
    return ", ".join([*DERIVED, f"{CLASS_ACCURACY}<label>", *sorted(defined)])
