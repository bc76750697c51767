"""What brings a service from what a cluster has of it to what is wanted. Pure."""

import json
from dataclasses import dataclass, field

from placement.kube.drift import differences
from placement.kube.kinds import OWNED, Key, Manifest, key_of
from placement.kube.manifests import belonging
from placement.kube.view import Group
from placement.kube.words import Apply, Carried, Carry, Delete
from schemas.decisions import PlacementDecided
from schemas.identity import stable_id

ROOT = OWNED[0]
"""Kind of the object that all else of a service belongs to."""


@dataclass(slots=True)
class Comparing:
    """Compares, and remembers of what was written what the server made of it.

    A server may write a value otherwise than it was given. What differs in its own answer is
    accepted, so that it is not taken for another hand's and written for ever.
    """

    _written: dict[Key, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def carry(
        self, decided: PlacementDecided, wanted: tuple[Manifest, ...], group: Group
    ) -> Carry | None:
        """Return what is to be done, None for nothing; the root is the first of `wanted`."""
        root = group.get(key_of(wanted[0])) if wanted else None
        applies: list[Apply] = []
        changed: list[str] = []
        for manifest in wanted:
            found = group.get(key_of(manifest))
            if found is not None and _leaving(found):
                continue
            whole = belonging(manifest, root) if root and manifest is not wanted[0] else manifest
            missing = differences(whole, found) if found is not None else ()
            written = self._written.get(key_of(manifest))
            identity = _identity(manifest)
            if found is not None and (not missing or written == (identity, missing)):
                self._written.setdefault(key_of(manifest), (identity, missing))
                continue
            if written is not None and written[0] == identity:
                changed.append(_change(manifest, missing))
            applies.append(_apply(whole, found))
        deletes = _surplus(wanted, group)
        if not applies and not deletes:
            return None
        kind = "service.mend" if changed else "service.apply" if wanted[1:] else "service.remove"
        why = f"another hand has changed {'; '.join(changed[:5])}" if changed else decided.reason
        return Carry(
            service=decided.service,
            generation=decided.generation,
            applies=tuple(applies),
            deletes=deletes,
            root=root,
            kind=kind,
            why=why,
            causes=(decided.event_id,),
        )

    def forget(self, wanted: tuple[Manifest, ...]) -> None:
        """Remember nothing more of what nobody wants any more, whoever deleted it."""
        for manifest in wanted:
            self._written.pop(key_of(manifest), None)

    def settle(self, carried: Carried) -> None:
        """Remember what was written and deleted."""
        wanted = {apply.key: apply.manifest for apply in carried.carry.applies}
        for deed in carried.deeds:
            if not deed.done:
                continue
            if deed.deleted:
                self._written.pop(deed.key, None)
            elif deed.key in wanted:
                manifest = wanted[deed.key]
                missing = differences(manifest, deed.answer.body)
                self._written[deed.key] = (_identity(manifest), missing)


def removal(service: str, group: Group, generation: int, why: str) -> Carry:
    """Return that all of a service goes, what belongs to the root before it."""
    return Carry(service, generation, (), _surplus((), group), None, "service.remove", why)


def _surplus(wanted: tuple[Manifest, ...], group: Group) -> tuple[Delete, ...]:
    keys = {key_of(manifest) for manifest in wanted}
    found = [
        (key, body["metadata"])
        for key, body in group.items()
        if key[0] in OWNED and key not in keys and not _leaving(body)
    ]
    found.sort(key=lambda item: (-OWNED.index(item[0][0]), item[0]))
    return tuple(
        Delete(key, str(meta.get("uid", "")), str(meta.get("resourceVersion", "")))
        for key, meta in found
    )


def _apply(manifest: Manifest, found: Manifest | None) -> Apply:
    if found is None:
        return Apply(manifest)
    meta = found["metadata"]
    return Apply(manifest, str(meta.get("resourceVersion", "")), str(meta.get("uid", "")))


def _change(manifest: Manifest, missing: tuple[str, ...]) -> str:
    kind, _, name = key_of(manifest)
    return f"{kind} {name}: {', '.join(missing[:3]) or 'it is gone'}"


def _leaving(body: Manifest) -> bool:
    return "deletionTimestamp" in body["metadata"]


def _identity(manifest: Manifest) -> str:
    """Return what tells one wish from the next; who it belongs to is not part of it."""
    meta = {k: v for k, v in manifest["metadata"].items() if k != "ownerReferences"}
    return stable_id(json.dumps({**manifest, "metadata": meta}, sort_keys=True))
