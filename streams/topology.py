"""What runs where: every processor by name, its module and its host. Nothing is imported early."""

import importlib
from dataclasses import dataclass
from enum import Enum

from schemas.processing import Spec
from streams.errors import HostingError


class Host(Enum):
    """Which host runs something."""

    BATCH = "batch"
    FAUST = "faust"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a processor comes from: the module whose `spec()` describes it, and its host."""

    module: str
    host: Host
    plugins: str = ""
    """The module whose `installed()`, and `filters()` where there is one, give what other
    distributions name for it, if any."""


PROCESSORS: dict[str, Place] = {
    "derive": Place("processors.deriving.derive", Host.BATCH),
    "observe": Place("processors.observing.observe", Host.BATCH),
    "define": Place("processors.defining.define", Host.BATCH, plugins="streams.plugins.metrics"),
    "drift": Place(
        "processors.drifting.drift", Host.BATCH, plugins="streams.plugins.drift_detectors"
    ),
    "shift": Place("processors.shifting.shift", Host.BATCH),
    "explain": Place("processors.shifting.explain", Host.BATCH),
    "quality": Place("processors.rules.quality", Host.BATCH, plugins="streams.plugins.rules"),
    "anomaly": Place(
        "processors.anomalies.anomaly", Host.BATCH, plugins="streams.plugins.detectors"
    ),
    "contract": Place("processors.contracts.contract", Host.BATCH),
    "route": Place("processors.routing.route", Host.BATCH, plugins="streams.plugins.combiners"),
    "diagnose": Place("processors.diagnosing.diagnose", Host.FAUST),
    "select": Place(
        "processors.selecting.selection", Host.FAUST, plugins="streams.plugins.selecting"
    ),
    "remedy": Place("processors.remedying.remedy", Host.FAUST, plugins="streams.plugins.remedies"),
    "scale": Place("placement.scaling.scaler", Host.FAUST),
    "canary": Place("placement.rollout.canary", Host.FAUST),
    "place": Place("placement.control.controller", Host.FAUST, plugins="workers.placement_plugins"),
}
"""Every processor by the name of its specification."""

SINK = "sink"
"""The process that stores every topic in ClickHouse; it has a loop of its own."""
NARRATE = "narrate"
"""The process that has diagnoses told in prose; it has a loop of its own too."""
NOTIFY = "notify"
"""The process that tells people what remedies want to be told; so has it."""
OWN_LOOPS = (SINK, NARRATE, NOTIFY)

APPS: dict[str, str] = {
    "diagnose": "streams.apps.diagnose",
    "select": "streams.apps.selection",
    "remedy": "streams.apps.remedy",
    "scale": "streams.apps.scale",
    "canary": "streams.apps.canary",
    "place": "streams.apps.place",
    "actuate": "streams.apps.actuate",
    "control": "streams.apps.control",
}
"""Faust apps by name; control is all others in one process."""


def names() -> tuple[str, ...]:
    """Return everything that `weir run` can run."""
    return tuple(dict.fromkeys((*PROCESSORS, *OWN_LOOPS, *APPS)))


def groups_of(processor: str) -> tuple[str, ...]:
    """Return the consumer groups of the processes that may run a processor; its own first.

    Raises HostingError when there is no such processor.
    """
    spec_named(processor)
    if PROCESSORS[processor].host is Host.FAUST:
        return (f"weir-{processor}", "weir-control")
    return (f"weir-{processor}",)


def spec_named(name: str) -> Spec:
    """Return the specification of a processor with its default parameters.

    Raises HostingError when there is no such processor.
    """
    place = PROCESSORS.get(name)
    if place is None:
        raise HostingError(f"no processor {name!r}; known: {', '.join(PROCESSORS)}")
    module = importlib.import_module(place.module)
    if not place.plugins:
        plain: Spec = module.spec()
        return plain
    others = importlib.import_module(place.plugins)
    more = {"filters": others.filters()} if hasattr(others, "filters") else {}
    spec: Spec = module.spec(plugins=others.installed(), **more)
    return spec
