"""Which services a node is to host, and what a hosted one is. Pure."""

from dataclasses import dataclass

from placement.authority import served
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.registrations import ServiceRegistered
from schemas.resources import Variant
from workers.runtimes.base import Session
from workers.runtimes.options import PREFIX

SERVE = "serve."
"""Keys of a service's environment that begin so are terms on which it is served."""
CPU = Variant(name="cpu", precision="", device="cpu")
"""The variant of a service that declares none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An instance that a placement assigns to this node; `service` None when not registered.

    `memory_mib` is what it was given.
    """

    instance: str
    name: str
    app: str
    variant: Variant | None
    service: ServiceRegistered | None
    memory_mib: int = 0

    @property
    def artifact(self) -> tuple[str, ...]:
        """Return what is loaded again when it changes: file, runtime, device, options, terms."""
        if self.service is None or self.variant is None:
            return ()
        uri = self.variant.artifact or self.service.artifact
        entries = self.service.environment
        options = (f"{e.key}={e.value}" for e in entries if e.key.startswith((PREFIX, SERVE)))
        place = (uri, self.service.digest or "", self.service.format, self.variant.device)
        return (*place, *sorted(options))


@dataclass(frozen=True, slots=True, eq=False)
class Hosted:
    """A loaded instance; `loaded_as` tells one loading from the next.

    `memory_mib` is by how much the process grew when its model was loaded.
    """

    instance: str
    service: ServiceRegistered
    variant: Variant
    session: Session
    runtime: str
    digest: str
    loaded_as: str
    memory_mib: int = 0


def wanted(catalogue: Catalogue, node: str, serves: str = "") -> dict[str, Wanted]:
    """Return the instances assigned to a node, by id; services that are held are left out.

    With `serves`, the name of a service or an instance, all others are left out.
    """
    services = catalogue.of(ServiceRegistered)
    found: dict[str, Wanted] = {}
    for told in catalogue.of(PlacementDecided).values():
        placement = served(told, catalogue)
        if placement is None:
            continue
        service = services.get(placement.service)
        for assignment in placement.assignments:
            named = not serves or serves in (placement.service, assignment.instance)
            if assignment.node == node and named:
                found[assignment.instance] = Wanted(
                    instance=assignment.instance,
                    name=placement.service,
                    app=placement.app,
                    variant=variant_of(service, assignment.variant) if service else None,
                    service=service,
                    memory_mib=assignment.memory_mib,
                )
    return found


def held(catalogue: Catalogue) -> set[str]:
    """Return the services of which whatever runs stays as it is: frozen, or only recommended."""
    decisions = catalogue.of(PlacementDecided)
    return {service for service, told in decisions.items() if served(told, catalogue) is None}


def variant_of(service: ServiceRegistered, name: str) -> Variant:
    """Return the variant that a placement names, else the first declared, else plain CPU."""
    for variant in service.variants:
        if variant.name == name:
            return variant
    return service.variants[0] if service.variants else CPU
