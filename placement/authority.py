"""What may be done: artifact schemes on the allow-list, and the mode that is in force."""

from schemas.catalogue import Catalogue
from schemas.registrations import PolicySelected, ServiceRegistered

MODES = ("observe", "recommend", "act")


def mode_of(catalogue: Catalogue, component: str, app: str) -> str:
    """Return the mode of a component for an application: its own, the component's, or act.

    A policy's scope is `<component>/<app>` or `<component>`.
    """
    for scope in (f"{component}/{app}", component):
        policy = catalogue.get(PolicySelected, scope)
        if policy is not None and policy.mode in MODES:
            return policy.mode
    return "act"


def refusal(
    service: str, app: str, catalogue: Catalogue, schemes: tuple[str, ...]
) -> tuple[str, str] | None:
    """Return (policy, reason) why a service may not be started, or None when it may."""
    mode = mode_of(catalogue, "place", app)
    if mode != "act":
        return f"place/{app}", f"the mode is {mode}: placements are not carried out"
    registered = catalogue.get(ServiceRegistered, service)
    if registered is None:
        return "registered services", f"{service} is not registered"
    scheme = registered.artifact.partition(":")[0] if ":" in registered.artifact else ""
    if scheme not in schemes:
        allowed = ", ".join(schemes)
        return (
            "artifact schemes",
            f"artifacts by {scheme or 'plain path'} are not on the list: {allowed}",
        )
    return None
