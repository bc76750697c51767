"""From the choice of a detector to its bank."""

from collections.abc import Callable, Mapping

from processors.drifting import kernels
from processors.drifting.banks import AdwinBank, Bank, CompiledBank, PlainBank, Window
from processors.drifting.detectors import (
    ADWIN,
    DDM,
    HDDM_A,
    HDDM_W,
    PAGE_HINKLEY,
    TWO_SAMPLES,
    Choice,
    DriftDetector,
)
from processors.drifting.windowed import WindowedBank

_KINDS = {
    PAGE_HINKLEY: kernels.PAGE_HINKLEY,
    DDM: kernels.DDM,
    HDDM_A: kernels.HDDM_A,
    HDDM_W: kernels.HDDM_W,
}
Fresh = Callable[[float, bytes | None], Window]
"""From ADWIN's delta, and a state if there is one, to a window."""


def banked(choice: Choice, fresh: Fresh, plugins: Mapping[str, DriftDetector]) -> Bank:
    """Return the bank of a detector, Weir's or one of `plugins`."""
    name = choice.detector
    if name == ADWIN:
        return AdwinBank(lambda state: fresh(choice.given[0], state))
    if name in _KINDS:
        return CompiledBank(_KINDS[name], choice.given)
    if name in TWO_SAMPLES:
        return WindowedBank(name, choice.given)
    return PlainBank(plugins[name])
