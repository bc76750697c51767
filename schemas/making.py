"""The one place where source that Weir itself wrote becomes a function.

What is written is made of the names of fields in the schema files that ship with the package and
in our own classes, and of nothing that came over a wire.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from functools import cache, wraps
from typing import Any


def define(source: str, names: dict[str, Any]) -> None:
    """Run the definition of a function among names, where it then stands by its own."""
    exec(source, names)  # noqa: S102 - made of the names of fields in our own schemas


@cache
def unfrozen(record: type) -> type:
    """Return a class with the slots of a frozen dataclass, whose instances may become that one's.

    A frozen instance is filled field by field through `object.__setattr__`, which takes three
    times as long as to fill one of this class and to set its `__class__` then.
    """
    plain = {"__slots__": record.__dict__["__slots__"], "__setattr__": object.__setattr__}
    return type(record.__name__, record.__bases__, plain)


def quicken(record: type) -> None:
    """Give a frozen dataclass with slots an `__init__` by `unfrozen`; made when first called."""
    slow = record.__init__  # type: ignore[misc]  # its own, not one of a subclass

    @wraps(slow)
    def first(self: Any, *args: Any, **given: Any) -> None:
        record.__init__ = wraps(slow)(_init(record))  # type: ignore[misc]  # nor do others see it
        record.__init__(self, *args, **given)  # type: ignore[misc]

    record.__init__ = first  # type: ignore[misc]


def _init(record: type) -> Callable[..., None]:
    told = fields(record)
    names: dict[str, Any] = {"become": object.__setattr__, "Open": unfrozen(record), "Own": record}
    names |= {f"d_{one.name}": one.default for one in told if one.default is not MISSING}
    positional = [_parameter(one) for one in told if not one.kw_only]
    named = [_parameter(one) for one in told if one.kw_only]
    parameters = ["self", *positional, *(["*", *named] if named else [])]
    lines = [
        f"def __init__({', '.join(parameters)}):",
        " become(self, '__class__', Open)",
        *(f" self.{one.name} = {one.name}" for one in told),
        " self.__class__ = Own",
    ]
    define("\n".join(lines), names)
    made: Callable[..., None] = names["__init__"]
    return made


def _parameter(one: Field[Any]) -> str:
    return one.name if one.default is MISSING else f"{one.name}=d_{one.name}"
