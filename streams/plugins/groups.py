"""All groups of plug-ins: what stands under each, and the laws that one of it is held to.

A check runs the code of the plug-in. Whatever that raises, an exit too, is told as a broken law.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from polars.exceptions import PanicException

from placement.algorithms.names import GROUP as SCORES
from placement.choosing import laws
from processors.anomalies.detectors import GROUP as DETECTORS
from processors.defining.plugins import GROUP as METRICS
from processors.defining.plugins import name_objection
from processors.drifting.detectors import GROUP as DRIFT_DETECTORS
from processors.remedying.base import GROUP as REMEDIES
from processors.routing.votes import GROUP as COMBINERS
from processors.rules.kinds import GROUP as RULES
from processors.selecting.laws import broken_by
from processors.selecting.proposals import GROUP as SELECTORS
from processors.selecting.proposals import adapted
from streams.plugins import combiners as combiner_plugins
from streams.plugins import detectors as detector_plugins
from streams.plugins import drift_detectors as drift_plugins
from streams.plugins import laws as plugin_laws
from streams.plugins import metrics as metric_plugins
from streams.plugins import remedies as remedy_plugins
from streams.plugins import rules as rule_plugins
from streams.plugins import selecting as selector_plugins
from workers import order_plugins, placement_plugins, plugin_points
from workers.plugin_points import Found
from workers.runtimes import plugins as runtime_plugins
from workers.runtimes.plugins import GROUP as RUNTIMES
from workers.scheduling.orders.names import GROUP as ORDERS


@dataclass(frozen=True, slots=True)
class Given:
    """What a check may need besides: parameters of a metric, a model of a runtime."""

    parameters: tuple[float | str, ...] = ()
    artifact: Path | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """What a group is for, what is against a name, how one is had, and which laws it breaks."""

    what: str
    objection: Callable[[str], str]
    made: Callable[[EntryPoint], Any]
    broken: Callable[[Any, Given], list[str]]


def _unobjected(_: str) -> str:
    return ""


GROUPS: Mapping[str, Group] = {
    METRICS: Group(
        "functions in definitions of metrics",
        name_objection,
        metric_plugins.loaded,
        lambda plugin, given: plugin_laws.broken_by_metric(plugin.function, given.parameters),
    ),
    DETECTORS: Group(
        "detectors of anomalies",
        detector_plugins.objection,
        detector_plugins.made,
        lambda detector, _: plugin_laws.broken_by_detector(detector),
    ),
    DRIFT_DETECTORS: Group(
        "detectors of drift",
        drift_plugins.objection,
        drift_plugins.made,
        lambda detector, _: plugin_laws.broken_by_drift_detector(detector),
    ),
    REMEDIES: Group(
        "actions of remedies",
        remedy_plugins.objection,
        remedy_plugins.made,
        lambda action, _: remedy_plugins.laws_broken(action),
    ),
    COMBINERS: Group(
        "combiners of votes",
        combiner_plugins.objection,
        combiner_plugins.made,
        lambda combiner, _: combiner_plugins.broken_laws(combiner),
    ),
    RULES: Group(
        "kinds of rules",
        rule_plugins.objection,
        rule_plugins.made,
        lambda kind, _: plugin_laws.broken_by_rule(kind),
    ),
    ORDERS: Group(
        "orders of workers",
        order_plugins.objection,
        order_plugins.made,
        lambda make, _: plugin_laws.broken_by_order(make),
    ),
    SELECTORS: Group(
        "algorithms of selection",
        selector_plugins.objection,
        selector_plugins.made,
        lambda selector, _: broken_by(adapted("it", selector)),
    ),
    RUNTIMES: Group(
        "runtimes of models",
        _unobjected,
        runtime_plugins.made,
        lambda runtime, given: plugin_laws.broken_by_runtime(runtime, given.artifact),
    ),
    SCORES: Group(
        "algorithms of placement",
        placement_plugins.objection,
        placement_plugins.algorithm,
        lambda make, _: laws.broken_by_score(make),
    ),
    placement_plugins.ASSIGNERS: Group(
        "assigners of copies that come together",
        placement_plugins.objection,
        placement_plugins.assigner,
        lambda assign, _: laws.broken_by_assigner(assign),
    ),
    placement_plugins.FILTERS: Group(
        "constraints of placement",
        _unobjected,
        placement_plugins.passing,
        lambda passing, _: laws.broken_by_filter(passing),
    ),
}


def surveyed() -> list[tuple[str, Found[Any]]]:
    """Return every plug-in that is installed, with its group, usable or not."""
    return [
        (name, found)
        for name, group in GROUPS.items()
        for found in plugin_points.surveyed(name, group.objection, group.made)
    ]


def broken(group: str, found: Found[Any], given: Given) -> list[str]:
    """Return why a plug-in cannot be used, or else the laws that it breaks."""
    if found.reason:
        return [found.reason]
    check = partial(GROUPS[group].broken, found.made, given)
    try:
        return check()
    except (Exception, SystemExit, PanicException) as error:  # noqa: BLE001 - the code of others
        return [f"it raised {type(error).__name__}: {error}"]
