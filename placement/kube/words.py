"""What the decisions for a cluster and those who carry them out say to each other."""

from dataclasses import dataclass, field

from placement.kube.answers import Answer
from placement.kube.kinds import Key, Manifest, key_of


@dataclass(frozen=True, slots=True)
class Apply:
    """Have an object as it is wanted; `version` and `uid` are those it was read with, if any."""

    manifest: Manifest
    version: str = ""
    uid: str = ""

    @property
    def key(self) -> Key:
        """Return what identifies the object."""
        return key_of(self.manifest)


@dataclass(frozen=True, slots=True)
class Delete:
    """Have an object no more: this very one, in the version in which it was read."""

    key: Key
    uid: str
    version: str


@dataclass(frozen=True, slots=True)
class Carry:
    """All that is to be done for one service now, in this order.

    `generation` is that of the decision; what carries a newer one is left alone, and nothing more
    is done then. `root` is the root as the cluster has it, None when it is the first to apply.
    """

    service: str
    generation: int
    applies: tuple[Apply, ...] = ()
    deletes: tuple[Delete, ...] = ()
    root: Manifest | None = None
    kind: str = "service.apply"
    why: str = ""
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deed:
    """What came of one object: the answer, or the newer generation that it was found to have.

    `foreign`: an object of that name was made by others. `contested`: managers and the fields that
    were taken back from them.
    """

    key: Key
    answer: Answer
    deleted: bool = False
    newer: int | None = None
    foreign: bool = False
    contested: tuple[tuple[str, str], ...] = ()

    @property
    def done(self) -> bool:
        """Whether the object is as it was asked for."""
        return self.answer.done and self.newer is None and not self.foreign


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of an instruction, one deed after the other; after one that failed no other.

    `postponed`: there was no time for all of it. That is no failure: the rest comes next.
    """

    carry: Carry
    deeds: tuple[Deed, ...] = field(default=())
    postponed: bool = False

    @property
    def failed(self) -> Deed | None:
        """Return the deed that could not be done, if any."""
        return next((deed for deed in self.deeds if not deed.done), None)
