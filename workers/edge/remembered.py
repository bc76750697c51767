"""What a node served last, kept on disk, so that it is served again where no broker says so."""

from collections.abc import Iterable

from placement.authority import APPLY, PLACE
from schemas.authority import INSTALLATION
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.errors import ContractError
from schemas.registrations import PolicySelected, ServiceRegistered
from schemas.topics import key_of
from workers.edge.packed import Packed
from workers.edge.store import Store
from workers.telemetry import logger

log = logger(__name__)


def of_node(catalogue: Catalogue, node: str) -> list[Event]:
    """Return the placements that assign something to a node, the services they name, and modes."""
    services = catalogue.of(ServiceRegistered)
    kept: list[Event] = []
    scopes = {INSTALLATION: None, PLACE: None}
    for placement in catalogue.of(PlacementDecided).values():
        if any(assignment.node == node for assignment in placement.assignments):
            kept.append(placement)
            scopes[f"{PLACE}/{placement.app}"] = scopes[f"{APPLY}{placement.service}"] = None
            service = services.get(placement.service)
            if service is not None:
                kept.append(service)
    policies = catalogue.of(PolicySelected)
    return kept + [policies[scope] for scope in scopes if scope in policies]


class Remembered:
    """The last placement of a node in its store, and the cluster that it came from."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: tuple[str, list[Event]] | None = None

    def keep(self, events: Iterable[Event], cluster: str) -> bool:
        """Replace what is remembered, if it has changed; tell whether. Raises StoreTrouble."""
        wanted = (cluster, list(events))
        if wanted == self._known:
            return False
        packed = [Packed.of(event) for event in wanted[1]]
        with self._store.transaction() as rows:
            rows.execute("DELETE FROM placed")
            rows.executemany(
                "INSERT INTO placed VALUES (?, ?, ?, ?)",
                ((p.record, p.version, p.body, p.checked) for p in packed),
            )
            rows.execute("INSERT OR REPLACE INTO placed_by VALUES (1, ?)", (cluster,))
        self._known = wanted
        return True

    def cluster(self) -> str:
        """Return the cluster that said what is remembered; empty when nothing is."""
        with self._store.transaction() as rows:
            found = rows.execute("SELECT cluster FROM placed_by").fetchone()
        return str(found[0]) if found else ""

    def catalogue(self) -> Catalogue:
        """Return what is remembered, as a catalogue; unreadable entries are left out.

        Raises StoreTrouble.
        """
        with self._store.transaction() as rows:
            found = rows.execute("SELECT record, version, body, checked FROM placed").fetchall()
        entries: dict[type[Event], dict[str, Event]] = {}
        for row in found:
            try:
                event = Packed(*row).event()
            except ContractError as error:
                log.warning("placement.unreadable", record=row[0], error=str(error))
                continue
            entries.setdefault(type(event), {})[key_of(event)] = event
        return Catalogue(entries)
