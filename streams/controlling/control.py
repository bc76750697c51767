"""Carries out what an administrator asks over HTTP, and tells the ids of the events that say so."""

from collections.abc import Callable, Mapping
from typing import Any

from placement.errors import PlacementError
from schemas.authority import DRAIN, FREEZE, PAUSE
from schemas.base import Event
from schemas.errors import ContractError
from schemas.introspect import to_plain
from schemas.topics import key_of
from streams import ensembles
from streams.commands.ensembles import known_of
from streams.commands.nouns import send_changed
from streams.commands.switching import switch_over
from streams.controlling.nouns import NOUNS, Noun
from streams.entries import Entries
from streams.errors import RegistrationError, StreamsError
from streams.forms.consumers import with_token
from streams.registration import unknown
from workers.clock import wall_ms
from workers.errors import Unavailable, WorkerError
from workers.gateway.control import Order, Verb
from workers.gateway.refusals import Refusal
from workers.kafka.steady import SteadyProducer
from workers.settings import Settings

Told = tuple[int, Any]


class CatalogueControl:
    """Reads and changes the catalogue; all calls share a producer, which connects in time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = SteadyProducer(settings.kafka)

    def verbs(self) -> tuple[tuple[str, Verb], ...]:
        """Return every noun with every verb that it has."""
        return tuple((noun.plural, verb) for noun in NOUNS for verb in _verbs(noun))

    def do(self, order: Order) -> Told:
        """Return the status of HTTP and what to answer. Raises Refusal."""
        where = f"{order.noun} {order.name}".strip()
        try:
            with Entries(self._acting(order.by), self._producer) as entries:
                return _ACTIONS[order.verb](entries, _noun(order.noun), order)
        except Unavailable as error:
            raise Refusal(503, str(error), where, "ask again", after_s=1) from error
        except (StreamsError, ContractError, PlacementError, WorkerError, UnicodeError) as error:
            status = 404 if str(error).startswith("no ") else 422
            raise Refusal(status, str(error), where, "mend it as the message says") from error

    def _acting(self, by: str) -> Settings:
        """Return the settings of who acts: whom the administrator names, or he himself."""
        if not by:
            return self._settings
        identity = self._settings.identity.model_copy(update={"user": by})
        return self._settings.model_copy(update={"identity": identity})


def _noun(plural: str) -> Noun:
    return next(noun for noun in NOUNS if noun.plural == plural)


def _verbs(noun: Noun) -> list[Verb]:
    one, many = noun.plural.rstrip("s"), noun.plural
    found = [
        Verb("GET", f"/{many}", "list", f"List every {one}."),
        Verb("GET", f"/{many}/{{name}}", "get", f"All that is known of one {one}."),
    ]
    if noun.make is not None:
        found.append(Verb("POST", f"/{many}", "register", f"Register one {one}, or change it."))
    if noun.guard is not None:
        found.append(Verb("DELETE", f"/{many}/{{name}}", "remove", f"Remove one {one}."))
    found += [
        Verb("POST", f"/{many}{path}", name, told)
        for name, (plural, path, told, *_) in _SWITCHES.items()
        if plural == many
    ]
    return found + [verb for verb in _OTHERS if verb.path.startswith(f"/{many}/")]


_OTHERS = (
    Verb("POST", "/consumers/{name}/token", "token", "Give it a new token, told once."),
    Verb("POST", "/ensembles/{name}/pin", "pin", "Let these services answer for an app."),
    Verb("POST", "/ensembles/{name}/unpin", "unpin", "Let them be selected again."),
)
_SWITCHES: Mapping[str, tuple[str, str, str, str, str, bool]] = {
    "app.pause": ("apps", "/{name}/pause", "Let no deed of it happen.", FREEZE, "freeze", True),
    "app.resume": ("apps", "/{name}/resume", "End that.", FREEZE, "unfreeze", False),
    "node.pause": ("nodes", "/{name}/pause", "Drain it.", DRAIN, "drain", True),
    "node.resume": ("nodes", "/{name}/resume", "End that.", DRAIN, "undrain", False),
    "pause": ("placements", "/pause", "Decide nothing for now.", PAUSE, "pause", True),
    "resume": ("placements", "/resume", "End that.", PAUSE, "resume", False),
}
"""By verb: noun, path, help, scope of the policy, last part of the deed's kind, on or off."""
_DEEDS = {"apps": "deeds", "nodes": "node", "placements": "placement"}


def _list(entries: Entries, noun: Noun, _: Order) -> Told:
    found = entries.of(noun.kind)
    return 200, {noun.plural: [_plain(found[key]) for key in sorted(found)]}


def _get(entries: Entries, noun: Noun, order: Order) -> Told:
    return 200, _plain(_known(entries, noun, order.name))


def _register(entries: Entries, noun: Noun, order: Order) -> Told:
    if noun.make is None:
        raise LookupError(order.verb)
    event = noun.make(entries, order.body)
    changed = bool(send_changed(entries, [event]))
    told = {"name": key_of(event), "event_id": getattr(event, "event_id", ""), "changed": changed}
    return (201 if changed else 200), told


def _remove(entries: Entries, noun: Noun, order: Order) -> Told:
    known = _known(entries, noun, order.name)
    if noun.guard is not None:
        noun.guard(entries, known)
    if noun.remove is not None:
        noun.remove(entries, order.name)
    else:
        entries.remove(noun.kind, order.name)
        entries.flush()
    ids = entries.tombstones
    return 200, {"name": order.name, "event_id": ids[-1], "event_ids": ids}


def _switch(entries: Entries, noun: Noun, order: Order) -> Told:
    _, _, _, scope, last, on = _SWITCHES[order.verb]
    reason = str(order.body.get("reason", ""))
    target = order.name or "*"
    if order.name:
        known = _known(entries, noun, order.name)
        scope = f"{scope}{order.name}" if scope.endswith("/") else f"{scope}/{order.name}"
        if noun.guard is not None:
            noun.guard(entries, known)
    kind = f"{_DEEDS[noun.plural]}.{last}"
    told = f"{target}: {last} over HTTP"
    event_id = switch_over(entries, scope, kind, target, told, reason, on=on)
    return 200, {"name": target, "on": on, "changed": bool(event_id), "event_id": event_id}


def _token(entries: Entries, noun: Noun, order: Order) -> Told:
    known = _known(entries, noun, order.name)
    if noun.guard is not None:
        noun.guard(entries, known)
    event, token = with_token(known, wall_ms())
    entries.send([event])
    return 201, {"name": order.name, "event_id": event.event_id, "token": token}


def _pin(entries: Entries, _: Noun, order: Order) -> Told:
    """Pin, or end it: of an application, or of the ensemble of one of its consumers."""
    known = known_of(entries, order.name, change=True, ending=order.verb == "unpin")
    consumer, services = str(order.body.get("consumer", "")), order.body.get("services")
    if order.verb == "unpin":
        event = ensembles.unpin(known, order.name, consumer, wall_ms())
    elif isinstance(services, list) and services and all(type(s) is str for s in services):
        event = ensembles.pin(known, order.name, consumer, services, wall_ms())
    else:
        raise RegistrationError("services: name those that shall answer, in a list")
    entries.send([event])
    return 200, {"name": order.name, "event_id": event.event_id, "changed": True}


def _known(entries: Entries, noun: Noun, name: str) -> Any:
    found = entries.of(noun.kind)
    if name not in found:
        raise unknown(noun.plural.rstrip("s"), name, found)
    return found[name]


def _plain(event: Event) -> dict[str, Any]:
    told: dict[str, Any] = to_plain(type(event))(event)
    if "token_sha256" in told:
        told["has_token"] = bool(told.pop("token_sha256"))
    return told


_ACTIONS: Mapping[str, Callable[[Entries, Noun, Order], Told]] = {
    "list": _list,
    "get": _get,
    "register": _register,
    "remove": _remove,
    "token": _token,
    "pin": _pin,
    "unpin": _pin,
    **dict.fromkeys(_SWITCHES, _switch),
}
