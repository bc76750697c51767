"""The metrics that exist without anyone's doing: what `derive` makes of results and labels.

Contracts may name these and the metrics that MetricDefined declares. Every value is one
sample; shares, rates and quantiles are what observe makes of the samples of a window:

| asked for | read as | unit |
|---|---|---|
| latency of a task, in the queue, in execution | p95 … of `latency`, `queue`, `execution` | ms |
| latency end to end | the same of `response_latency` | ms |
| throughput of an instance | `rate` of `failure`: each result has one sample | results/s |
| throughput of good results | `rate` of `latency`, which only those have | results/s |
| throughput of an application | `rate` of `answered`: each response has one sample | responses/s |
| error rate, technical | mean of `failure` | share of results |
| error rate, of the labels | mean of `error` (`accuracy` is 1 less that) | share of judged |
| accuracy per class | mean of `accuracy.class.<true class>` | share of judged |
| agreement with the ensemble | mean of `agreement` | share of results |
| accuracy under a condition | mean of `accuracy.condition.<name>=<value>` | share of judged |
| agreement under a condition | mean of `agreement.condition.<name>=<value>` | share of results |
| available, by time | mean of `availability` | share of samples of the clock |
| inputs of a model | mean of `input.mean.<tensor>`, `input.std.…`, `input.missing.…` | its own |
| available, by request | mean of `deadline_met`, of `answered` | share of results, of responses |

A window without samples makes no observation: no throughput is an absence. That an instance is
gone shows in `availability`, which others sample for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

CLASS_ACCURACY = "accuracy.class."
"""Prefix of the accuracy per true class, followed by the class.

Classes beyond the bounds of derive's parameters count together as `accuracy.class.(other)`.
"""
CONDITION_ACCURACY, CONDITION_AGREEMENT = "accuracy.condition.", "agreement.condition."
"""Prefixes of what is so under one condition of requests, followed by it as `light=night`.

Conditions beyond the bounds of derive's parameters count together as `(other)`, too.
"""
PARTIAL_SHARES = (CLASS_ACCURACY, CONDITION_ACCURACY, CONDITION_AGREEMENT)
"""Prefixes of the shares among a part of the requests, whose names come from outside."""
AVAILABILITY = "availability"
INPUT = "input."
"""Prefix of what results say of their inputs: `input.<mean, std or missing>.<tensor>`."""
INPUT_NUMBERS = ("mean", "std", "missing")
"""What of a summary becomes a metric; the bounds are for drift of the data alone."""
INPUTS, OUTPUTS = "inputs", "outputs"
DATA = (INPUTS, OUTPUTS)
"""What drifts of data are of, in the place of a metric: the tensors that models get and give."""


@dataclass(frozen=True, slots=True)
class DerivedMetric:
    """A metric of derive: its unit (empty for a ratio), what it says, and at which levels it is.

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
        DerivedMetric(
            AVAILABILITY, "", ("instance", "service"), "1 when ready by its last heartbeat, else 0"
        ),
        DerivedMetric("response_latency", "ms", ("app",), "request made to answer given"),
        DerivedMetric("answered", "", ("app",), "1 when a request got an answer, else 0"),
        DerivedMetric(
            "deadline_met", "", ("instance", "app"), "1 when a result or answer was in time, else 0"
        ),
        DerivedMetric("accuracy", "", ("service", "app"), "1 when the label was right, else 0"),
        DerivedMetric("error", "", ("service", "app"), "1 when the label was wrong, else 0"),
        DerivedMetric("agreement", "", ("service",), "1 when a member agreed with the answer"),
    )
}
"""Every metric of derive by name, but those per class, per condition and of inputs."""

RELATED: dict[str, str] = {"response_latency": "latency"}
"""For metrics that no service reports: the one that tells the services' part in it."""


def known(metric: str, defined: Iterable[str] = ()) -> bool:
    """Return whether anyone can report a metric; `defined` are those of MetricDefined."""
    begins = (CLASS_ACCURACY, *(f"{INPUT}{number}." for number in INPUT_NUMBERS))
    opened = any(metric.startswith(name) and len(metric) > len(name) for name in begins)
    return metric in DERIVED or opened or _conditional(metric) or metric in set(defined)


def _conditional(metric: str) -> bool:
    """Return whether a metric is accuracy or agreement under a condition, `name=value`."""
    begins = (CONDITION_ACCURACY, CONDITION_AGREEMENT)
    name, _, value = next(
        (metric.removeprefix(one) for one in begins if metric.startswith(one)), ""
    ).partition("=")
    return bool(name and value)


def listing(defined: Iterable[str] = ()) -> str:
    """Return the known metrics as text for a message."""
    begins = (f"{INPUT}{number}.<tensor>" for number in INPUT_NUMBERS)
    under = (f"{name}<name>=<value>" for name in (CONDITION_ACCURACY, CONDITION_AGREEMENT))
    return ", ".join([*DERIVED, f"{CLASS_ACCURACY}<label>", *under, *begins, *sorted(defined)])
