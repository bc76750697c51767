"""Whether an action helped, and what is taken back when it did not. Pure."""

from dataclasses import replace

from processors.errors import PluginError
from processors.remedying import telling
from processors.remedying.base import Action, Case, Plan, Refusal, unpaired
from processors.remedying.ledger import Ledger
from processors.remedying.state import DRIFT, Deed
from processors.remedying.steps import PAUSE_MS, back_off
from schemas.authority import REASON, frozen, parameter
from schemas.base import Event
from schemas.catalogue import Catalogue

LEAST = 0.5
"""Share of the way from what was found to what would be right that counts as help."""
_GONE = "its plug-in is gone"


def verify(
    deed: Deed, action: Action | None, ledger: Ledger, catalogue: Catalogue, now_ms: int
) -> list[Event]:
    """Judge an action whose time has come; one that cannot be undone for now is kept.

    Of an action whose plug-in is gone (None) nobody knows whether it was carried out.
    """
    case = _case(deed, catalogue, now_ms)
    said: list[Event] = []
    if not deed.judged:
        undone_yet = _carried_out(action, case, deed)
        helped, why = (None, undone_yet) if undone_yet else _judged(deed, ledger)
        known = ledger.findings.get(deed.finding.key)
        latest = known.finding.event_id if known is not None else ""
        status = telling.FAILED if undone_yet else telling.DONE
        said.append(telling.verified(deed, helped, why, status, latest, now_ms))
        rest = ledger.rests.get(deed.target)
        if rest is not None:
            back_off(rest, helped=helped is True)
        if helped or not deed.undo:
            del ledger.deeds[deed.event_id]
            return said
    return said + _take_back(deed, action, case, ledger)


def _take_back(deed: Deed, action: Action | None, case: Case, ledger: Ledger) -> list[Event]:
    """Undo an action; while deeds are frozen that is said once, and waits."""
    stop = frozen(case.catalogue, deed.finding.app)
    if stop is not None:
        deed.verify_at = case.now_ms + PAUSE_MS
        if deed.judged:
            return []
        deed.judged = True
        why = f"deeds are frozen: {parameter(stop, REASON)}"
        return [telling.not_undone(deed, why, telling.REFUSED, case.now_ms)]
    del ledger.deeds[deed.event_id]
    plan = _undoing(action, case, deed)
    if isinstance(plan, Refusal):
        return [telling.not_undone(deed, plan.reason, telling.FAILED, case.now_ms)]
    for scope in [s for s, held in ledger.held.items() if held.deed == deed.event_id]:
        del ledger.held[scope]
    return [telling.undone(deed, plan, case.now_ms), *plan.events]


def _judged(deed: Deed, ledger: Ledger) -> tuple[bool, str]:
    found = deed.finding
    if found.on != DRIFT and not ledger.stands(deed):
        return True, "what was found is withdrawn"
    if deed.count and found.bad is not None and found.good is not None and found.bad != found.good:
        mean = deed.total / deed.count
        way = (mean - found.bad) / (found.good - found.bad)
        words = f"{found.metric} is {mean:.4g}; it was {found.bad:.4g}, right is {found.good:.4g}"
        return way >= LEAST, f"{words}; {way:.0%} of the way"
    if found.on == DRIFT:
        return False, f"nothing was observed of {found.metric} since"
    return False, "what was found still stands"


def _case(deed: Deed, catalogue: Catalogue, now_ms: int) -> Case:
    """Return the case of an action again, whatever became of its remedy; ids are others."""
    asker = replace(deed.asker, event_id=deed.event_id)
    return Case(asker, deed.finding, catalogue, now_ms)


def _carried_out(action: Action | None, case: Case, deed: Deed) -> str:
    if action is None:
        return _GONE
    try:
        return action.carried_out(case, unpaired(deed.memo))
    except PluginError as error:
        return f"its plug-in failed: {error}"


def _undoing(action: Action | None, case: Case, deed: Deed) -> Plan | Refusal:
    if action is None:
        return Refusal(_GONE)
    try:
        return action.undo(case, unpaired(deed.memo))
    except PluginError as error:
        return Refusal(f"its plug-in failed: {error}")
