"""Names that Kubernetes takes: stable, without collisions, and where the rest of a name goes."""

import hashlib
import re

from placement.errors import NotDeployable

NAME = 46
"""Longest name of a workload: its Pods' names stay within 63."""
LABEL = 63
DOMAIN = "weir.dev"
OWNER = "weir"
"""Marks what an installation without a name makes, and owns the fields that it sets."""
_DIGITS = 10
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_ENDS_AS_HASHED = re.compile(rf"-[0-9a-f]{{{_DIGITS}}}$")
_VALUE = re.compile(r"([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?")
_DOTS = (".", "..")
_ENVIRONMENT = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def dns_name(raw: str, limit: int = LABEL) -> str:
    """Return a DNS-1123 label for any text; a text that is one, and short enough, is itself.

    Others are cut and end in ten digits of their SHA-256; so do those that look as if they did,
    so that nobody can choose a name that another text is given.
    """
    if len(raw) <= limit and _LABEL.fullmatch(raw) and not _ENDS_AS_HASHED.search(raw):
        return raw
    digits = hashlib.sha256(raw.encode()).hexdigest()[:_DIGITS]
    head = re.sub(r"[^a-z0-9]+", "-", raw.lower()).strip("-")[: limit - _DIGITS - 1].strip("-")
    return f"{head or 'x'}-{digits}"


def is_label(name: str) -> bool:
    """Return whether a name is a DNS-1123 label of at most 63 characters."""
    return len(name) <= LABEL and _LABEL.fullmatch(name) is not None


def is_subdomain(name: str) -> bool:
    """Return whether a name is a DNS-1123 subdomain, as names of claims and nodes are."""
    return 0 < len(name) <= 253 and all(_LABEL.fullmatch(part) for part in name.split("."))


def is_variable(name: str) -> bool:
    """Return whether a ConfigMap may hold a variable of this name."""
    return len(name) <= 253 and _ENVIRONMENT.fullmatch(name) is not None and name[:2] not in _DOTS


def is_qualified(name: str) -> bool:
    """Return whether a name may be the key of a label or a taint: `name` or `prefix/name`."""
    prefix, slash, last = name.rpartition("/")
    return (is_subdomain(prefix) if slash else True) and last != "" and is_value(last)


def is_value(text: str) -> bool:
    """Return whether a text may be the value of a label or a taint."""
    return len(text) <= LABEL and _VALUE.fullmatch(text) is not None


def port_name(name: str, port: int, protocol: str) -> str:
    """Return a name for a port: at most 15 characters, unique by its number where it is not."""
    if len(name) <= 15 and is_label(name) and re.search("[a-z]", name) and "--" not in name:
        return name
    return f"{protocol[:3]}-{port}"


def checked(ok: bool, name: str, what: str) -> str:
    """Return a name that somebody else chose. Raises NotDeployable when Kubernetes refuses it."""
    if not ok:
        raise NotDeployable("names", f"Kubernetes refuses {name[:80]!r} as {what}")
    return name
