"""What a cluster has, in groups, as watches tell it: Weir's own by service, others by node."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from placement.kube.kinds import Key, Manifest, key_of
from placement.kube.manifests import SERVICE

Group = Mapping[Key, Manifest]
"""The objects of one service or node. Never changed: what has changed is another mapping."""
NOTHING: Group = MappingProxyType({})


def by_service(body: Manifest) -> str:
    """Return the label of an object's service; empty when it has none."""
    return str((body["metadata"].get("labels") or {}).get(SERVICE, ""))


def by_node(body: Manifest) -> str:
    """Return the node that an object is, or runs on; empty when it runs on none."""
    if body["kind"] == "Node":
        return str(body["metadata"]["name"])
    return str((body.get("spec") or {}).get("nodeName", ""))


@dataclass(frozen=True, slots=True)
class Observed:
    """A cluster as it was at one time.

    `groups` has its objects by service or node. `complete` is False until all has been listed
    once: before that, nothing may be concluded from absence. `troubles` say what keeps us from
    hearing of changes.
    """

    groups: Mapping[str, Group]
    complete: bool = True
    troubles: tuple[str, ...] = ()


@dataclass(slots=True)
class View:
    """Collects what watches tell; not safe to share between threads by itself."""

    group_of: Callable[[Manifest], str] = by_service
    _groups: dict[str, dict[Key, Manifest]] = field(default_factory=dict)
    _labels: dict[Key, str] = field(default_factory=dict)

    def groups(self) -> Mapping[str, Group]:
        """Return the objects by group; later changes leave what is returned as it is."""
        return dict(self._groups)

    def put(self, body: Manifest) -> bool:
        """Take note of an object, unless a newer version is known; return whether it was new."""
        key = key_of(body)
        label = self.group_of(body)
        held = self._groups.get(self._labels.get(key, ""), {}).get(key)
        if held is not None and _version(held) >= _version(body):
            return False
        self.drop(key)
        self._labels[key] = label
        self._groups[label] = {**self._groups.get(label, {}), key: body}
        return True

    def drop(self, key: Key) -> bool:
        """Forget an object; return whether it was known."""
        label = self._labels.pop(key, None)
        if label is None:
            return False
        rest = {other: body for other, body in self._groups[label].items() if other != key}
        if rest:
            self._groups[label] = rest
        else:
            del self._groups[label]
        return True

    def replace(self, kind: str, namespace: str, bodies: Iterable[Manifest]) -> None:
        """Take a whole list of a kind in a namespace (empty: in all) for what there is."""
        found = {key_of(body): body for body in bodies}
        for key in [k for k in self._labels if k[0] == kind and namespace in ("", k[1])]:
            if key not in found:
                self.drop(key)
        for body in found.values():
            self.put(body)


def _version(body: Manifest) -> int:
    """Return a resource version as a number, which those of one kind are; -1 when it is none."""
    told = str(body["metadata"].get("resourceVersion", ""))
    return int(told) if told.isdecimal() else -1
