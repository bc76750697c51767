"""The contracts that are in force: which version of each, and what is wrong with others.

The catalogue tells the newest registration, whatever version it names. A version that is older than
the one in force, or that cannot be judged, is refused once and changes nothing: the one before it
holds on. A contract that is gone may begin anew with any version.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from processors.contracts.checks import Limits, reasons_against
from processors.contracts.clauses import needed
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.registrations import ContractRegistered


@dataclass(slots=True)
class Registered:
    """Contracts by name: those in force, and why other registrations are not."""

    held: dict[str, ContractRegistered] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    _objections: dict[str, tuple[ContractRegistered, list[str]]] = field(default_factory=dict)
    _by_app: dict[str, list[ContractRegistered]] = field(default_factory=dict)
    _wanted: dict[str, frozenset[str]] = field(default_factory=dict)

    def take(self, found: Mapping[str, ContractRegistered], limits: Limits) -> None:
        """Take the contracts of the catalogue."""
        held: dict[str, ContractRegistered] = {}
        self._objections = {}
        for name, contract in sorted(found.items()):
            known = self.held.get(name)
            reasons = reasons_against(contract, limits)
            if known is not None and contract.version < known.version:
                reasons = [f"version {contract.version} is older than {known.version}"]
            if not reasons:
                held[name] = contract
                continue
            if known is not None and not reasons_against(known, limits):
                held[name] = known
                reasons.append(f"version {known.version} stays in force")
            self._objections[name] = (contract, reasons)
        self.held = held
        self._by_app = {}
        for contract in held.values():
            self._by_app.setdefault(contract.app, []).append(contract)
        self._wanted = {
            app: frozenset(metric for one in contracts for metric in needed(one))
            for app, contracts in self._by_app.items()
        }

    def of(self, app: str) -> list[ContractRegistered]:
        """Return the contracts of an application, by name."""
        return self._by_app.get(app, [])

    def wanted(self, app: str) -> frozenset[str]:
        """Return the metrics that the contracts of an application need."""
        return self._wanted.get(app, frozenset())

    def refusals(self, now_ms: int) -> Iterator[ActionTaken]:
        """Yield the refusals that were not told yet."""
        refused = list(self._objections.values())
        for contract, reasons in refused:
            if contract.event_id not in self.told:
                yield _refusal(contract, reasons, now_ms)
        self.told = tuple(contract.event_id for contract, _ in refused)


def in_force(contract: ContractRegistered, at_ms: int) -> bool:
    """Return whether an instant lies within the validity of a contract."""
    begun = contract.valid_from is None or contract.valid_from <= at_ms
    return begun and (contract.valid_until is None or at_ms < contract.valid_until)


def _refusal(contract: ContractRegistered, reasons: list[str], now_ms: int) -> ActionTaken:
    return ActionTaken(
        event_id=stable_id("contract", "refused", contract.event_id, contract.version),
        target=contract.contract,
        kind="contract.refused",
        status="refused",
        policy="",
        reason=f"contract {contract.contract} of {contract.app}: " + "; ".join(reasons),
        taken_at=now_ms,
    )
