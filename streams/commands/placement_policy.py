"""`weir placement policy` and `canary`: by what is placed and scaled, and new versions by steps."""

from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.nouns import AsJson, check_service_owner, check_steering, opened

if TYPE_CHECKING:
    from schemas.registrations import PolicySelected

Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter.")]


def policy(
    *,
    of: Annotated[str, typer.Option("--app", help="Of one application alone.")] = "",
    algorithm: Annotated[str, typer.Option(help="By which nodes are chosen; for all.")] = "",
    told: Set = None,
    unset: Annotated[list[str] | None, typer.Option(help="A parameter back to default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show or choose the algorithm, and parameters of the queue, of scaling and of moves.

    For example --set scale.target_load=0.5 --set move.rebalance=1 --set queue=age.
    """
    from placement.authority import PLACE
    from schemas.registrations import ApplicationRegistered, PolicySelected
    from streams import policies
    from streams.registration import pairs
    from workers.clock import wall_ms

    scope = f"{PLACE}/{of}" if of else PLACE
    with opened() as entries:
        catalogue = entries.catalogue(PolicySelected, ApplicationRegistered)
        known = catalogue.get(PolicySelected, scope)
        changing = bool(algorithm or told or unset)
        ending = bool(unset) and not algorithm and not told
        check_steering(entries, catalogue, of, change=changing, ending=ending)
        if not changing:
            _show(scope, known, as_json=as_json)
            return
        _check_algorithm(algorithm, of)
        given = pairs(told or (), "parameter")
        made = policies.place_policy(scope, known, algorithm, given, unset or (), wall_ms())
        entries.send([made])
    _show(scope, made, as_json=as_json)


def canary(
    service: Annotated[str, typer.Argument(help="Name of the service.")],
    *,
    variant: Annotated[str, typer.Option(help="Its variant that is the new version.")] = "",
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take back what is on its way.")
    ] = False,
    told: Set = None,
    as_json: AsJson = False,
) -> None:
    """Bring a new version of a service in by steps, or take it back.

    It gets more copies while latency and failures are as good as those of the others, and is rolled
    back when they are not. For example --variant int8 --set canary.first=0.25.
    """
    from schemas.authority import CANARY
    from schemas.registrations import PolicySelected, ServiceRegistered
    from streams import policies
    from streams.commands.output import show_outcome
    from streams.registration import pairs, unknown
    from workers.clock import wall_ms

    if bool(variant) == withdraw:
        raise typer.BadParameter("either --variant or --withdraw")
    with opened() as entries:
        known = entries.catalogue(PolicySelected, ServiceRegistered)
        registered = known.get(ServiceRegistered, service)
        if registered is None:
            raise unknown("service", service, known.of(ServiceRegistered))
        check_service_owner(entries, service, registered.app)
        scope = f"{CANARY}{service}"
        if withdraw:
            if known.get(PolicySelected, scope) is None:
                raise unknown("new version on its way of service", service, ())
            entries.remove(PolicySelected, scope)
            entries.flush()
        else:
            given = pairs(told or (), "parameter")
            entries.send([policies.canary_policy(service, variant, given, wall_ms())])
    words = "is taken back" if withdraw else "is brought in by steps; `weir placement history`"
    outcome = {"service": service, "variant": variant, "withdrawn": withdraw}
    show_outcome(outcome, f"{variant or 'the new version'} of {service} {words}", as_json=as_json)


def _check_algorithm(algorithm: str, of: str) -> None:
    from placement.algorithms.names import OWN
    from streams.errors import RegistrationError
    from workers.placement_plugins import installed

    if algorithm and of:
        raise RegistrationError("the algorithm is one for all applications: leave --app away")
    known = {*OWN, *installed()} if algorithm else set()
    if algorithm and algorithm not in known:
        raise RegistrationError(f"no algorithm {algorithm!r}; known: {', '.join(sorted(known))}")


def _show(scope: str, known: "PolicySelected | None", *, as_json: bool) -> None:
    from streams.commands.output import show_rows

    rows = [("algorithm", (known.algorithm if known else "") or "(default)")]
    rows += [(p.key, p.value) for p in (known.parameters if known else ())]
    rows += [("scope", scope)] if as_json else []
    show_rows((scope if not as_json else "name", "value"), rows, as_json=as_json)
