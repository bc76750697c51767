"""The nouns that the gateway's control knows: how each is made, kept from others, and removed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.base import Event
from schemas.decisions import EnsembleSelected, PlacementDecided
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    MetricDefined,
    NodeReported,
    ServiceRegistered,
)
from streams import registration
from streams.artifacts import built
from streams.commands.apps import ended
from streams.commands.nouns import check_contract_owner, check_owner, check_service_owner
from streams.entries import Entries
from streams.errors import RegistrationError
from streams.forms import consumers as consumer_forms
from streams.forms import nodes as node_forms
from workers.clock import wall_ms

Plain = Mapping[str, Any]
Make = Callable[[Entries, Plain], Event]
"""From plain data to the checked event. Raises RegistrationError."""
Guard = Callable[[Entries, Any], None]
"""Raises RegistrationError when an entry may not be changed."""


@dataclass(frozen=True, slots=True)
class Noun:
    """One kind of entry; what is None cannot be done over HTTP.

    What has a guard can be removed; `remove` takes more away than the entry itself.
    """

    plural: str
    kind: type[Event]
    make: Make | None = None
    guard: Guard | None = None
    remove: Callable[[Entries, str], object] | None = None


def _application(entries: Entries, plain: Plain) -> Event:
    made = registration.application(plain, wall_ms())
    standing = entries.of(ApplicationRegistered).get(made.app)
    if standing is not None:
        check_owner(entries, "application", made.app, standing.owner, made.owner)
    return made


def _service(entries: Entries, plain: Plain) -> Event:
    given = dict(plain)
    made: ServiceRegistered = built(given, str(given.pop("run", "default")))
    check_service_owner(entries, made.service, made.app, made.owner)
    return made


def _contract(entries: Entries, plain: Plain) -> Event:
    known = entries.catalogue(ContractRegistered, MetricDefined)
    made = registration.next_contract(plain, known, wall_ms())
    check_contract_owner(entries, made.contract, made.owner)
    return made


def _consumer(entries: Entries, plain: Plain) -> Event:
    made = consumer_forms.registered(plain, entries.of(ConsumerRegistered), wall_ms())
    standing = entries.of(ConsumerRegistered).get(made.consumer)
    if standing is not None:
        check_owner(entries, "consumer", made.consumer, standing.owner, made.owner)
    return made


def _node(entries: Entries, plain: Plain) -> Event:
    now_ms = wall_ms()
    made = node_forms.node(dict(plain), now_ms)
    if node_forms.reports_itself(entries.of(NodeReported).get(made.node), now_ms):
        raise RegistrationError(
            f"node {made.node} reports itself; what is registered by hand would be replaced"
        )
    return made


def _owned(noun: str, field: str) -> Guard:
    def check(entries: Entries, known: Any) -> None:
        check_owner(entries, noun, getattr(known, field), known.owner)

    return check


def _own_service(entries: Entries, known: ServiceRegistered) -> None:
    check_service_owner(entries, known.service, known.app)


def _anybody(_entries: Entries, _known: Any) -> None:
    """Nodes have no owner."""


NOUNS = (
    Noun("apps", ApplicationRegistered, _application, _owned("application", "app"), ended),
    Noun("services", ServiceRegistered, _service, _own_service),
    Noun("contracts", ContractRegistered, _contract, _owned("contract", "contract")),
    Noun("consumers", ConsumerRegistered, _consumer, _owned("consumer", "consumer")),
    Noun("nodes", NodeReported, _node, _anybody),
    Noun("ensembles", EnsembleSelected),
    Noun("placements", PlacementDecided),
)
"""In the order in which one would register them."""
