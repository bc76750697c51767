"""Which of several actuators of an installation acts: the one that began last. Pure.

A Lease says who. Who begins takes it from whoever has it, so that an actuator that was left behind,
whatever it still believes, finds before its next deed that it is no longer its turn. Who has it
renews it; another takes it when it was given up, or not renewed for `EXPIRY_S` by that one's own
clock: clocks of others are not read (after Kubernetes' own leader election).
"""

from typing import Any

from placement.deeds import action
from placement.kube.kinds import Key, Manifest
from placement.kube.manifests import MANAGED
from placement.kube.telling import CLUSTER
from schemas.decisions import ActionTaken

EXPIRY_S = 15.0
RENEW_S = 4.0


class Tenure:
    """Decides for one actuator, `who`, which Lease it writes; one instance per process."""

    def __init__(self, who: str, owner: str, namespace: str) -> None:
        self.who = who
        self.key: Key = ("Lease", namespace, f"{owner}-actuator")
        self._owner = owner
        self._begun = False
        self._seen = ("", 0.0)
        self._told = ""

    def claim(self, now_s: float, at: str, found: Manifest | None) -> Manifest | None:
        """Return the Lease to write over what was found; None while it is another's turn.

        `now_s` is of any clock that only rises, `at` the time of day (RFC 3339, microseconds).
        """
        spec = _spec(found)
        before = holder_of(found)
        version = str(found["metadata"].get("resourceVersion", "")) if found is not None else ""
        if version != self._seen[0]:
            self._seen = (version, now_s)
        lapsed = now_s - self._seen[1] >= EXPIRY_S
        if before not in ("", self.who) and self._begun and not lapsed:
            return None
        changes = int(spec.get("leaseTransitions") or 0) + (before != self.who)
        begun = spec.get("acquireTime") if before == self.who else None
        return self._lease(
            holderIdentity=self.who,
            acquireTime=begun or at,
            renewTime=at,
            leaseDurationSeconds=round(EXPIRY_S),
            leaseTransitions=changes,
        )

    def took(self) -> None:
        """Take note that the Lease was written."""
        self._begun = True

    def given_up(self, found: Manifest) -> Manifest | None:
        """Return the Lease without a holder, None where another has it."""
        if holder_of(found) != self.who:
            return None
        changes = int(_spec(found).get("leaseTransitions") or 0)
        return self._lease(leaseDurationSeconds=round(EXPIRY_S), leaseTransitions=changes)

    def news(self, now_ms: int, holder: str) -> list[ActionTaken]:
        """Return that another acts, or we do again, once; `holder` is who has the Lease."""
        before, self._told = self._told, holder or self._told
        if not holder or holder == before or (not before and holder == self.who):
            return []
        ours = holder == self.who
        why = f"it is our turn again, after {before}" if ours else f"{holder} has begun to act here"
        details = {"holder": holder}
        status = "done" if ours else "refused"
        return [action(now_ms, CLUSTER, "cluster.lease", status, why, details)]

    def _lease(self, **spec: Any) -> Manifest:
        _, namespace, name = self.key
        labels = {MANAGED: self._owner, "app.kubernetes.io/part-of": "weir"}
        meta = {"name": name, "namespace": namespace, "labels": labels}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": meta,
            "spec": spec,
        }


def holder_of(lease: Manifest | None) -> str:
    """Return who has a Lease; empty when nobody has."""
    return str(_spec(lease).get("holderIdentity") or "")


def _spec(lease: Manifest | None) -> Manifest:
    spec: Manifest = (lease or {}).get("spec") or {}
    return spec
