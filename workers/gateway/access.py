"""Who calls, and whether he may: tokens, consumers, applications. Pure.

Of a token only its SHA-256 is known. It is looked up by that, which tells who measures the time
nothing of the token, and compared in constant time once more.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.catalogue import Catalogue
from schemas.registrations import ApplicationRegistered, ConsumerRegistered
from workers.gateway.refusals import Refusal

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
LONGEST_NAME = 200
ADMIN = "send the admin token: Authorization: Bearer <WEIR_GATEWAY__ADMIN_TOKEN>"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the consumer that he is or speaks for, and its registration if there is one."""

    consumer: str
    known: ConsumerRegistered | None
    admin: bool = False


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token, hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def token_of(authorization: str) -> str:
    """Return the token that a header Authorization brings, '' for none."""
    scheme, _, rest = authorization.partition(" ")
    return (rest if scheme.lower() == "bearer" else authorization).strip()


class Access:
    """Says who calls; consumers without a token may be named only where `anonymous` allows it."""

    def __init__(self, admin_token: str, *, anonymous: bool) -> None:
        self._admin = digest_of(admin_token) if admin_token else ""
        self._anonymous = anonymous
        self._seen: Mapping[str, ConsumerRegistered] | None = None
        self._by_token: dict[str, ConsumerRegistered] = {}

    def caller(self, authorization: str, named: str, catalogue: Catalogue) -> Caller:
        """Return who calls, naming a consumer or none. Raises Refusal."""
        consumers = catalogue.of(ConsumerRegistered)
        self._refresh(consumers)
        if not (named.isprintable() and len(named) <= LONGEST_NAME):
            raise Refusal(400, "it is no name", "Weir-Consumer", f"at most {LONGEST_NAME} letters")
        if token := token_of(authorization):
            return self._by(digest_of(token), named, consumers)
        known = consumers.get(named)
        if known is not None and known.token_sha256:
            raise _unknown(f"consumer {named} has a token, and none was sent", "Authorization")
        if not self._anonymous:
            raise _unknown("a token is needed", "Authorization")
        return Caller(named, known)

    def admin(self, authorization: str) -> None:
        """Let nobody pass but who has the admin token. Raises Refusal."""
        token = token_of(authorization)
        if not self._admin:
            raise Refusal(
                403,
                "nothing can be changed here",
                "WEIR_GATEWAY__ADMIN_TOKEN",
                "start the gateway with an admin token, or use the command line",
            )
        if not (token and hmac.compare_digest(digest_of(token), self._admin)):
            raise Refusal(401, "only the administrator may do this", "Authorization", ADMIN)

    def operator(self, authorization: str) -> None:
        """Let pass who may see how things stand: the administrator, anybody where all may ask.

        Raises Refusal.
        """
        if self._admin or not self._anonymous:
            self.admin(authorization)

    def _by(self, digest: str, named: str, consumers: Mapping[str, ConsumerRegistered]) -> Caller:
        if self._admin and hmac.compare_digest(digest, self._admin):
            return Caller(named, consumers.get(named), admin=True)
        found = self._by_token.get(digest)
        if found is None or not hmac.compare_digest(found.token_sha256, digest):
            raise _unknown("nobody has this token", "Authorization")
        if named not in ("", found.consumer):
            raise Refusal(
                403,
                f"the token is that of {found.consumer}, not of {named}",
                "Weir-Consumer",
                "leave the header out, or send the token of the consumer that it names",
            )
        return Caller(found.consumer, found)

    def _refresh(self, consumers: Mapping[str, ConsumerRegistered]) -> None:
        if consumers is not self._seen:
            self._seen = consumers
            self._by_token = {c.token_sha256: c for c in consumers.values() if c.token_sha256}


def application(app: str, caller: Caller, catalogue: Catalogue) -> ApplicationRegistered:
    """Return an application that a caller may ask. Raises Refusal."""
    found = catalogue.get(ApplicationRegistered, app)
    if caller.known is not None and caller.known.apps and app not in caller.known.apps:
        raise Refusal(
            403,
            f"consumer {caller.consumer} may not use {app}",
            "app",
            f"allowed: {', '.join(caller.known.apps)}; see `weir consumers register --app`",
        )
    if found is None:
        listed = ", ".join(sorted(catalogue.of(ApplicationRegistered))) or "none"
        raise Refusal(404, f"there is no application {app!r:.80}", "app", f"there are: {listed}")
    return found


def check_origin(host: str, origin: str, *, loopback: bool) -> None:
    """Refuse pages of other origins, and on the loopback names that are not this machine's.

    So that a page in a browser cannot ask by a name that it controls. Raises Refusal.
    """
    if loopback and host.rpartition(":")[0] not in _NAMES and host not in _NAMES:
        raise Refusal(403, f"{host!r} is not a name of this machine", "Host", "use 127.0.0.1")
    if origin and origin.partition("://")[2] != host:
        raise Refusal(403, f"pages of {origin!r} are not served", "Origin", "send a token")


def _unknown(what: str, where: str) -> Refusal:
    return Refusal(
        401, what, where, "send Authorization: Bearer <token>; see `weir consumers token`"
    )
