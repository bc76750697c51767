"""Weir's own actions: another selection, more copies, an older version, training."""

from collections.abc import Mapping

from processors.remedying.base import Action, Case, Plan, Refusal, not_whole, unpaired, whole
from processors.remedying.findings import SENSOR
from processors.remedying.moving import REPLACE, Replace
from processors.remedying.state import DRIFT
from schemas.authority import ACT, CANARY, RESELECT, SHARE, mode_of
from schemas.catalogue import Catalogue
from schemas.decisions import DeploymentObserved, EnsembleSelected, PlacementDecided
from schemas.identity import stable_id
from schemas.quality import RetrainingRequested
from schemas.registrations import PolicySelected, ServiceRegistered

RESELECT_, SCALE, ROLLBACK, RETRAIN, NOTIFY = "reselect", "scale", "rollback", "retrain", "notify"
_MOST_COPIES = 10_000
_MOST_STEP = 100


class Reselect:
    """select chooses anew for the application, by trial and score; it may keep what there is."""

    parameters: tuple[str, ...] = ()

    def objections(self, given: Mapping[str, str]) -> list[str]:  # noqa: ARG002 - it takes none
        """Return nothing."""
        return []

    def plan(self, case: Case) -> Plan | Refusal:
        """Ask select for another selection."""
        app = case.finding.app
        selected = case.catalogue.by_app(EnsembleSelected).get(app, ())
        if not selected:
            return Refusal(f"{app or 'no application'} has no ensemble to choose anew")
        if all(one.pinned for one in selected):
            return Refusal(f"the ensemble of {app} is pinned")
        told = {"reason": f"remedy {case.remedy.name}", "cause": case.finding.event_id}
        asked = case.policy(f"{RESELECT}{app}", "select", told)
        memo = {"at": str(case.now_ms)}
        return Plan("app", app, f"the ensemble of {app} is chosen anew", (asked,), memo)

    def undo(self, case: Case, memo: Mapping[str, str]) -> Plan | Refusal:  # noqa: ARG002 - none can
        """Refuse: select judges its choice itself."""
        return Refusal("a selection is not undone: select changes it when it has reason to")

    def carried_out(self, case: Case, memo: Mapping[str, str]) -> str:
        """Return whether select has chosen since."""
        selected = case.catalogue.by_app(EnsembleSelected).get(case.finding.app, ())
        chosen = any(one.selected_at >= int(memo["at"]) for one in selected)
        return "" if chosen else "select has not chosen since"


class Scale:
    """A service gets `by` more copies (fewer when it is negative), within `least` and `most`.

    Where they are absent, its registration says how many it may have; one that is not scaled may
    have one to twice as many as it was registered with. scale goes on from there.
    """

    parameters: tuple[str, ...] = ("by", "least", "most")

    def objections(self, given: Mapping[str, str]) -> list[str]:
        """Return what is wrong with the numbers."""
        wrong = not_whole(given, "least", 0, _MOST_COPIES)
        wrong += not_whole(given, "most", 1, _MOST_COPIES)
        by = given.get("by", "1")
        if not _step(by):
            wrong.append(f"by is {by!r:.40}; it must be from -{_MOST_STEP} to {_MOST_STEP}, not 0")
        return wrong

    def plan(self, case: Case) -> Plan | Refusal:
        """Ask for another number of copies of the service that is named, or blamed most."""
        service = case.finding.name_of("service")
        registered = case.catalogue.get(ServiceRegistered, service)
        decided = case.catalogue.get(PlacementDecided, service)
        if not service:
            return Refusal("the finding names no service")
        if registered is None or decided is None:
            return Refusal(f"{service} is no longer registered, or was never placed")
        by = _step(case.given.get("by", "1")) or 1
        least, most = _limits(case, registered)
        wanted = max(least, min(most, decided.replicas + by))
        if (wanted - decided.replicas) * by <= 0:
            return Refusal(f"{service} has {decided.replicas} copies; {least} to {most} are let")
        words = f"{service} from {decided.replicas} to {wanted} copies"
        asked = case.demand(service, wanted, f"{words}: remedy {case.remedy.name}")
        memo = {"service": service, "before": str(decided.replicas), "wanted": str(wanted)}
        return Plan("service", service, words, (asked,), memo, "+" if by > 0 else "-")

    def undo(self, case: Case, memo: Mapping[str, str]) -> Plan | Refusal:
        """Ask for as many as before, unless somebody has changed the number since."""
        service, before = memo["service"], int(memo["before"])
        decided = case.catalogue.get(PlacementDecided, service)
        if decided is None or case.catalogue.get(ServiceRegistered, service) is None:
            return Refusal(f"{service} is gone")
        if decided.replicas != int(memo["wanted"]):
            return Refusal(f"others have changed {service} to {decided.replicas} copies since")
        words = f"{service} back to {before} copies"
        asked = case.demand(service, before, f"{words}: remedy {case.remedy.name}")
        return Plan("service", service, words, (asked,))

    def carried_out(self, case: Case, memo: Mapping[str, str]) -> str:
        """Return whether so many copies were decided on, and are ready."""
        service, wanted = memo["service"], int(memo["wanted"])
        decided = case.catalogue.get(PlacementDecided, service)
        if decided is None:
            return f"{service} is gone"
        if decided.replicas != wanted:
            return f"place decided on {decided.replicas} copies, not {wanted}"
        return _waits(case.catalogue, decided)


class Rollback:
    """A new version of a service is taken back, be it on its way or there already; canary does it.

    Undone, it is brought in by steps again.
    """

    parameters: tuple[str, ...] = ()

    def objections(self, given: Mapping[str, str]) -> list[str]:  # noqa: ARG002 - it takes none
        """Return nothing."""
        return []

    def plan(self, case: Case) -> Plan | Refusal:
        """Ask canary to take the new version of the service back."""
        service = case.finding.name_of("service")
        if case.catalogue.get(ServiceRegistered, service) is None:
            named = f"{service} is no longer registered" if service else "no service is named"
            return Refusal(named)
        variant, share = _share(service, case.catalogue)
        if not variant or share <= 0.0:
            return Refusal(f"no new version of {service} is there to take back")
        told = _terms(service, case.catalogue) | {"variant": variant}
        why = f"remedy {case.remedy.name}"
        asked = case.policy(f"{CANARY}{service}", "place", told | {"rollback": why})
        memo = {"service": service, "variant": variant}
        return Plan("service", service, f"{variant} of {service} is taken back", (asked,), memo)

    def undo(self, case: Case, memo: Mapping[str, str]) -> Plan | Refusal:
        """Bring the version in again, by steps."""
        service, variant = memo["service"], memo["variant"]
        registered = case.catalogue.get(ServiceRegistered, service)
        if registered is None or variant not in {one.name for one in registered.variants}:
            return Refusal(f"{variant} of {service} is gone")
        told = _terms(service, case.catalogue) | {"variant": variant}
        asked = case.policy(f"{CANARY}{service}", "place", told)
        return Plan("service", service, f"{variant} of {service} is brought in again", (asked,))

    def carried_out(self, case: Case, memo: Mapping[str, str]) -> str:
        """Return whether no copy is to run the version any more."""
        service = memo["service"]
        _, share = _share(service, case.catalogue)
        if share > 0.0:
            return f"canary has not taken {memo['variant']} of {service} back"
        decided = case.catalogue.get(PlacementDecided, service)
        return "" if decided is None else _waits(case.catalogue, decided)


class Retrain:
    """Training is asked for, on the events of the new concept; never for a fault of a sensor.

    `least_events` of it (100 unless said) must have been seen.
    """

    parameters: tuple[str, ...] = ("least_events",)

    def objections(self, given: Mapping[str, str]) -> list[str]:
        """Return what is wrong with the number."""
        return not_whole(given, "least_events", 0, 1_000_000_000)

    def plan(self, case: Case) -> Plan | Refusal:
        """Ask for training of the service's model, or of whatever the application has."""
        finding = case.finding
        if finding.on != DRIFT:
            return Refusal("only a drift says on which data to train")
        if finding.cause.startswith(SENSOR):
            return Refusal(f"the cause is {finding.cause}: to train on that would learn the fault")
        if not finding.retrain:
            return Refusal("the drift does not advise training on the new events")
        least = whole(case.given, "least_events", 100, 0, 1_000_000_000)
        if finding.events < least:
            return Refusal(f"{finding.events} events of the new concept are seen, {least} needed")
        registered = case.catalogue.get(ServiceRegistered, finding.service)
        if finding.service and registered is None:
            return Refusal(f"{finding.service} is no longer registered")
        model = registered.model if registered is not None else ""
        what = model or finding.service or finding.app
        asked = RetrainingRequested(
            event_id=stable_id("retrain", finding.event_id, model),
            app=finding.app,
            stage=finding.stage,
            service=finding.service,
            model=model,
            drift=finding.event_id,
            reason=f"{finding.metric} of {what} drifted; remedy {case.remedy.name}",
            since=finding.since,
            until=finding.until,
            events=finding.events,
            sources=finding.sources,
            requested_at=case.now_ms,
            causes=(finding.event_id,),
        )
        words = f"training of {what} on {finding.events} events is asked for"
        return Plan("model", what, words, (asked,))

    def undo(self, case: Case, memo: Mapping[str, str]) -> Plan | Refusal:  # noqa: ARG002 - none can
        """Refuse: what was trained is others' to take back."""
        return Refusal("a training is not undone; a new version is taken back by rollback")

    def carried_out(self, case: Case, memo: Mapping[str, str]) -> str:  # noqa: ARG002 - told by others
        """Return nothing: others train, at their pace."""
        return ""


ACTIONS: Mapping[str, Action] = {
    RESELECT_: Reselect(),
    REPLACE: Replace(),
    SCALE: Scale(),
    ROLLBACK: Rollback(),
    RETRAIN: Retrain(),
}
"""Weir's actions by name; beside them there is `notify`, which changes nothing."""


def _step(text: str) -> int:
    """Return a number of copies to add, 0 for what is none."""
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isdecimal() and len(digits) < 5 and 0 < int(digits) <= _MOST_STEP):
        return 0
    return -int(digits) if text.startswith("-") else int(digits)


def _limits(case: Case, registered: ServiceRegistered) -> tuple[int, int]:
    if registered.max_replicas > 0:
        least, most = max(0, registered.min_replicas), registered.max_replicas
    else:
        least, most = 1, 2 * max(1, registered.replicas)
    return (
        whole(case.given, "least", least, 0, _MOST_COPIES),
        whole(case.given, "most", most, 1, _MOST_COPIES),
    )


def _waits(catalogue: Catalogue, decided: PlacementDecided) -> str:
    """Return why a decision has not come to pass; empty when it has, or nobody tells."""
    mode = mode_of(catalogue, "place", decided.app)
    if mode != ACT:
        return f"the mode of place is {mode}: its decision waits"
    seen = catalogue.get(DeploymentObserved, decided.service)
    if seen is not None and seen.generation == decided.generation and seen.ready < seen.desired:
        return f"{seen.ready} of {seen.desired} copies of {decided.service} are ready"
    return ""


def _share(service: str, catalogue: Catalogue) -> tuple[str, float]:
    """Return the new version of a service and its share of the copies."""
    policy = catalogue.get(PolicySelected, f"{SHARE}{service}")
    told = unpaired(policy.parameters) if policy is not None else {}
    try:
        return told.get("variant", ""), float(told.get("share", "0"))
    except ValueError:
        return "", 0.0


def _terms(service: str, catalogue: Catalogue) -> dict[str, str]:
    """Return the terms on which a new version was brought in."""
    policy = catalogue.get(PolicySelected, f"{CANARY}{service}")
    told = unpaired(policy.parameters) if policy is not None else {}
    return {key: value for key, value in told.items() if key.startswith("canary.")}
