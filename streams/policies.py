"""Policies for placement as commands make them: algorithm, parameters, new versions. Pure."""

from collections.abc import Mapping, Sequence

from placement.authority import PLACE
from placement.control.deciding import QUEUE
from placement.control.moving import MovePolicy
from placement.control.watch import ORDERS
from placement.policies import settings_of
from placement.rollout.verdict import CanaryPolicy
from placement.scaling.sizing import ScalePolicy
from placement.scaling.taking import TakePolicy
from schemas.authority import ACT, CANARY
from schemas.identity import stable_id
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from streams.errors import RegistrationError


def place_policy(
    scope: str,
    known: PolicySelected | None,
    algorithm: str,
    told: Mapping[str, str],
    unset: Sequence[str],
    now_ms: int,
) -> PolicySelected:
    """Return the policy of a scope with another algorithm, or other parameters; the rest stays.

    Raises RegistrationError for a parameter that is none, or of which the value will not do.
    """
    present = {p.key: p.value for p in known.parameters} if known else {}
    if missing := [name for name in unset if name not in present]:
        raise RegistrationError(f"{', '.join(missing)} is not set for {scope}")
    parameters = _as_pairs({k: v for k, v in {**present, **told}.items() if k not in unset})
    objections = _objections(_as_pairs(told))
    if objections:
        raise RegistrationError("; ".join(objections))
    return PolicySelected(
        scope=scope,
        component=PLACE,
        algorithm=algorithm or (known.algorithm if known else ""),
        parameters=parameters,
        mode=known.mode if known else "",
        selected_at=now_ms,
        event_id=stable_id("policy", scope, algorithm, repr(parameters), now_ms),
    )


def canary_policy(
    service: str, variant: str, told: Mapping[str, str], now_ms: int
) -> PolicySelected:
    """Return the policy that brings a new version in.

    Raises RegistrationError for terms that will not do.
    """
    parameters = _as_pairs({"variant": variant, **told})
    strangers = [key for key in told if not key.startswith(f"{CanaryPolicy.PREFIX}.")]
    _, wrong = settings_of(CanaryPolicy, parameters)
    wrong += tuple(f"{key} is no parameter; they begin with canary." for key in strangers)
    if wrong:
        raise RegistrationError("; ".join(wrong))
    return PolicySelected(
        scope=f"{CANARY}{service}",
        component=PLACE,
        algorithm="canary",
        parameters=parameters,
        mode=ACT,
        selected_at=now_ms,
        event_id=stable_id("policy", CANARY, service, repr(parameters), now_ms),
    )


def _objections(told: tuple[KeyValue, ...]) -> list[str]:
    kinds = (ScalePolicy, MovePolicy, TakePolicy)
    wrong = [complaint for kind in kinds for complaint in settings_of(kind, told)[1]]
    for parameter in told:
        if parameter.key == QUEUE:
            if parameter.value not in ORDERS:
                wrong.append(f"queue is {parameter.value!r}; it must be one of {', '.join(ORDERS)}")
        elif parameter.key.partition(".")[0] not in {kind.PREFIX for kind in kinds}:
            known = ", ".join(["queue", *(f"{kind.PREFIX}.<name>" for kind in kinds)])
            wrong.append(f"{parameter.key} is no parameter; there are {known}")
    return wrong


def _as_pairs(told: Mapping[str, str]) -> tuple[KeyValue, ...]:
    return tuple(KeyValue(key=key, value=value) for key, value in told.items())
