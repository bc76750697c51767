"""Which copies run the new version of a service, as a policy `share/<service>` says. Pure.

Copies change their version where they are. New copies come as the old version while both are to
serve; one that is there takes its turn when its time has come.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from placement.cluster.needs import Demand, Option
from placement.rollout.steps import share_of
from placement.rollout.verdict import copies_of_new
from schemas.authority import SHARE
from schemas.catalogue import Catalogue
from schemas.decisions import Assignment
from schemas.registrations import PolicySelected


@dataclass(frozen=True, slots=True)
class Share:
    """The variant that is new, and its share of the copies."""

    variant: str
    share: float

    def fresh(self, demand: Demand) -> tuple[Option, ...]:
        """Return the ways to run one more copy: the new one alone, or all others."""
        whole = self.share >= 1.0
        found = [o for o in demand.options if (o.variant == self.variant) == whole]
        return tuple(found) or demand.options

    def split(
        self, present: Sequence[Assignment], demand: Demand, serving: Collection[str]
    ) -> tuple[tuple[Assignment, ...], bool]:
        """Return the copies with their versions, and whether some must wait for their turn.

        So many change at once that `min_available` of those that serve go on as they are.
        """
        old = next((o.variant for o in demand.options if o.variant != self.variant), None)
        if old is None or all(o.variant != self.variant for o in demand.options):
            return tuple(present), False
        ordered = sorted(present, key=lambda a: (a.variant != self.variant, a.instance))
        wanted = copies_of_new(len(ordered), self.share)
        new = {one.instance for one in ordered[:wanted]}
        left = len(present)
        if demand.min_available:
            left = max(0, len({a.instance for a in present} & set(serving)) - demand.min_available)
        made, waits = [], False
        for one in ordered:
            right = (one.instance in new) == (one.variant == self.variant)
            disturbs = one.instance in serving or not demand.min_available
            if right or (disturbs and left <= 0):
                made.append(one)
                waits |= not right
                continue
            left -= disturbs
            made.append(replace(one, variant=self.variant if one.instance in new else old))
        return tuple(sorted(made, key=lambda a: (a.node, a.instance))), waits


def share_in_force(service: str, catalogue: Catalogue) -> Share | None:
    """Return the share that a service's new version has; None where there is none."""
    policy = catalogue.get(PolicySelected, f"{SHARE}{service}")
    share = share_of(policy)
    if policy is None or share is None:
        return None
    variant = next(p.value for p in policy.parameters if p.key == "variant")
    return Share(variant, share)
