"""One rollout at one moment: how it begins, goes on and ends, and how that is said. Pure."""

from dataclasses import dataclass
from statistics import NormalDist

from placement.policies import settings_of
from placement.rollout.state import (
    PROMOTED,
    REFUSED,
    ROLLED_BACK,
    RUNNING,
    WAITING,
    Counted,
    Rollout,
)
from placement.rollout.verdict import CanaryPolicy, Sample, Verdict, judge
from schemas.authority import CANARY, SHARE, parameter, thawed
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken, PlacementDecided
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.records import KeyValue
from schemas.registrations import PolicySelected, ServiceRegistered

ROLLBACK = "rollback"
"""Parameter of a policy `canary/<service>`: why the version is to be taken back at once."""
LEAST = 2
"""Copies without which there is nothing to compare."""


def copies_of(service: str, catalogue: Catalogue) -> int:
    """Return how many copies of a service are wanted by its newest placement."""
    decided = catalogue.get(PlacementDecided, service)
    return decided.replicas if decided is not None else 0


def share_of(policy: PolicySelected | None) -> float | None:
    """Return the share of copies that a policy `share/<service>` gives to its variant, if any."""
    told = {p.key: p.value for p in policy.parameters} if policy is not None else {}
    try:
        share = float(told.get("share", ""))
    except ValueError:
        return None
    return share if 0.0 <= share <= 1.0 and told.get("variant") else None


def take(rollout: Rollout, seen: Observation, catalogue: Catalogue) -> None:
    """Count a final window of a copy that began when its version had settled.

    Of windows that overlap, as those of several definitions do, one counts.
    """
    decided = catalogue.get(PlacementDecided, rollout.service)
    policy = catalogue.get(PolicySelected, f"{CANARY}{rollout.service}")
    if rollout.status != RUNNING or decided is None or policy is None:
        return
    if not seen.final or seen.count <= 0 or seen.metric not in ("failure", "latency"):
        return
    terms, _ = settings_of(CanaryPolicy, policy.parameters)
    settled = max(decided.decided_at, rollout.since) + terms.settle_ms
    variants = {one.instance: one.variant for one in decided.assignments}
    if seen.instance not in variants or seen.window_start < settled:
        return
    series = (seen.instance, seen.metric)
    ends = {(one.instance, one.metric): one.end for one in rollout.counted}
    if seen.window_start < ends.get(series, 0):
        return
    ends = {s: end for s, end in ends.items() if s[0] in variants} | {series: seen.window_end}
    rollout.counted = tuple(
        Counted(instance=i, metric=m, end=end) for (i, m), end in sorted(ends.items())
    )
    new = variants[seen.instance] == rollout.variant
    known = rollout.new if new else rollout.old
    if seen.metric == "failure":
        known = known.with_failures(seen.count, seen.mean)
    else:
        known = known.with_latencies(seen.count, seen.mean, seen.std)
    if new:
        rollout.new = known
    else:
        rollout.old = known


@dataclass(frozen=True, slots=True)
class Begin:
    """A rollout that a policy asks for."""

    service: ServiceRegistered
    policy: PolicySelected
    catalogue: Catalogue
    now: int

    def run(self) -> tuple[Rollout, list[Event]]:
        """Return the rollout, as the topics tell it, or new, or refused."""
        variant = next((p.value for p in self.policy.parameters if p.key == "variant"), "")
        rollout = Rollout(
            service=self.service.service,
            app=self.service.app,
            policy=self.policy.event_id,
            variant=variant,
            since=self.now,
        )
        if self._resumed(rollout):
            return rollout, []
        asked = parameter(self.policy, ROLLBACK)
        if asked:
            return rollout, self._back(rollout, asked)
        terms, wrong = settings_of(CanaryPolicy, self.policy.parameters)
        complaint = "; ".join(wrong) or self._objection(variant)
        step = Step(rollout, self.catalogue, self.now)
        if complaint:
            rollout.status = REFUSED
            return rollout, [step.deed("refused", complaint)]
        if copies_of(rollout.service, self.catalogue) < LEAST:
            rollout.status = WAITING
            return rollout, [step.deed("waiting", f"to compare takes {LEAST} copies")]
        return rollout, step.go_to(terms.first, terms, "it begins")

    def _back(self, rollout: Rollout, why: str) -> list[Event]:
        """Take back what is there of the version, on its way or whole."""
        step = Step(rollout, self.catalogue, self.now)
        said = self.catalogue.get(PolicySelected, f"{SHARE}{rollout.service}")
        if said is None or not share_of(said) or parameter(said, "variant") != rollout.variant:
            rollout.status = REFUSED
            return [step.deed("refused", "no copy is to run it: there is nothing to take back")]
        return step.back(why)

    def _resumed(self, rollout: Rollout) -> bool:
        """Go on from what was said last for the same policy, when the state is lost."""
        said = self.catalogue.get(PolicySelected, f"{SHARE}{rollout.service}")
        told = {p.key: p.value for p in said.parameters} if said else {}
        share, step = share_of(said), told.get("step", "")
        if said is None or share is None or told.get("policy") != rollout.policy:
            return False
        terms, _ = settings_of(CanaryPolicy, self.policy.parameters)
        rollout.share, rollout.since = share, said.selected_at
        rollout.step = int(step) if step.isdecimal() else 1
        known = (PROMOTED, ROLLED_BACK)
        rollout.status = told["status"] if told.get("status") in known else RUNNING
        rollout.judge_at = terms.min_samples
        return True

    def _objection(self, variant: str) -> str:
        known = [one.name for one in self.service.variants]
        if variant not in known:
            listed = ", ".join(known) or "none"
            return f"{variant!r} is no variant of {self.service.service}; there are: {listed}"
        if len(known) < LEAST:
            return f"{variant} is the only variant of {self.service.service}: there is no old one"
        return ""


@dataclass(frozen=True, slots=True)
class Step:
    """What a rollout does now."""

    rollout: Rollout
    catalogue: Catalogue
    now: int

    def run(self, policy: PolicySelected) -> list[Event]:
        """Judge when there is enough to judge by, or when it has taken too long."""
        rollout = self.rollout
        terms, _ = settings_of(CanaryPolicy, policy.parameters)
        if rollout.status == WAITING and copies_of(rollout.service, self.catalogue) >= LEAST:
            return self.go_to(terms.first, terms, "it begins")
        if rollout.status != RUNNING:
            return []
        since = max(rollout.since, thawed(self.catalogue, rollout.app))
        late = self.now - since >= terms.patience_ms
        if late or rollout.new.results >= rollout.judge_at:
            return self._judge(terms, late=late)
        return []

    def _judge(self, terms: CanaryPolicy, *, late: bool) -> list[Event]:
        rollout = self.rollout
        z = NormalDist().inv_cdf((1.0 + terms.confidence) / 2.0)
        verdict, why = judge(rollout.old, rollout.new, terms, z)
        if verdict is Verdict.WORSE:
            return self.back(f"it does worse: {why}")
        if verdict is Verdict.AS_GOOD:
            return self.go_to(terms.following(rollout.share), terms, f"it is as good: {why}")
        if late:
            return self.back(f"after {terms.patience_ms / 1000:g} s nobody can tell: {why}")
        rollout.judge_at = 2 * max(rollout.judge_at, rollout.new.results)
        return []

    def withdraw(self) -> list[Event]:
        """Take back what is on its way when its policy is removed; what is done stays."""
        if self.rollout.status != RUNNING:
            return []
        return self.back("its policy was removed")

    def go_to(self, share: float, terms: CanaryPolicy, why: str) -> list[Event]:
        """Give the new version a share; the whole is the end."""
        rollout = self.rollout
        before = (rollout.old, rollout.new)
        rollout.step, rollout.share, rollout.since = rollout.step + 1, share, self.now
        rollout.old, rollout.new, rollout.judge_at = Sample(), Sample(), terms.min_samples
        rollout.status = PROMOTED if share >= 1.0 else RUNNING
        said = "promoted" if share >= 1.0 else "step"
        return [self._policy(), self.deed(said, why, *before)]

    def back(self, why: str) -> list[Event]:
        """Give the new version no share any more."""
        rollout = self.rollout
        rollout.step, rollout.share, rollout.status = rollout.step + 1, 0.0, ROLLED_BACK
        return [self._policy(), self.deed("rolled-back", why, rollout.old, rollout.new)]

    def _identity(self, what: str) -> str:
        return stable_id("canary", what, self.rollout.policy, self.rollout.step)

    def _policy(self) -> PolicySelected:
        rollout = self.rollout
        told = {
            "variant": rollout.variant,
            "share": repr(rollout.share),
            "step": str(rollout.step),
            "status": rollout.status,
            "policy": rollout.policy,
        }
        return PolicySelected(
            scope=f"{SHARE}{rollout.service}",
            component="place",
            algorithm="canary",
            parameters=tuple(KeyValue(key=key, value=value) for key, value in told.items()),
            mode="act",
            selected_at=self.now,
            event_id=self._identity("share"),
        )

    def deed(
        self, what: str, why: str, old: Sample | None = None, new: Sample | None = None
    ) -> ActionTaken:
        """Say what was done, why, and on how many results."""
        rollout = self.rollout
        told = {"variant": rollout.variant, "share": f"{rollout.share:g}"}
        if new is not None and old is not None:
            told |= {"results": str(new.results), "results.old": str(old.results)}
        return ActionTaken(
            event_id=self._identity(what),
            target=rollout.service,
            kind=f"canary.{what}",
            status="refused" if what == "refused" else "done",
            policy=f"{CANARY}{rollout.service}",
            reason=f"{rollout.variant or 'no variant'} of {rollout.service}: {why}",
            parameters=tuple(KeyValue(key=key, value=value) for key, value in told.items()),
            taken_at=self.now,
            causes=(rollout.policy,),
        )
