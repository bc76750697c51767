"""Pairs of Avro schemas that follow each other, made by chance from a seed, and data for them.

What may happen to a schema in its life happens here: fields come, go, move and are renamed, types
are widened, narrowed and exchanged, enums and fixed ones change, unions grow and shrink, records
change inside.
"""

import copy
import random
import string
from collections.abc import Callable
from typing import Any

Schema = Any
PRIMITIVES = ("boolean", "int", "long", "float", "double", "bytes", "string")
LOGICAL = {
    "timestamp-millis": "long",
    "timestamp-micros": "long",
    "time-millis": "int",
    "date": "int",
}
WIDER = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
DEFAULTS: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "int": 1,
    "long": 2,
    "float": 0.5,
    "double": 0.25,
    "bytes": "\u00ff",
    "string": "d",
}
VALUES: dict[str, tuple[Any, ...]] = {
    "null": (None,),
    "boolean": (True, False),
    "int": (0, -1, 2**31 - 1, -(2**31)),
    "long": (0, 1, 2**53, -(2**63)),
    "float": (0.0, -1.5, 0.25),
    "double": (0.0, 1e300, -0.1),
    "bytes": (b"", b"abc", b"\xc3\xa9"),
    "string": ("", "abc", "\u00e9"),
}


class Maker:
    """Makes schemas, changes and data; the same seed makes the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._count = 0

    def name(self, prefix: str) -> str:
        """Return a name that stands for nothing else."""
        self._count += 1
        return f"{prefix}{self._count}"

    def versions(self, count: int) -> list[Schema]:
        """Return a record and what became of it, one or two changes at a time."""
        made = [self.record("Top", depth=2)]
        while len(made) < count:
            made.append(copy.deepcopy(made[-1]))
            for _ in range(self.random.randint(1, 2)):
                change(self, made[-1])
        return made

    def record(self, name: str, depth: int) -> Schema:
        """Return a record of one to five fields."""
        fields = [self.field(depth - 1) for _ in range(self.random.randint(1, 5))]
        space = self.random.choice(("space", "elsewhere"))
        return {"type": "record", "name": name, "namespace": space, "fields": fields}

    def field(self, depth: int) -> dict[str, Any]:
        """Return a field, every other time with a default."""
        made = {"name": self.name("f"), "type": self.type(depth)}
        return self.with_default(made) if self.random.random() < 0.5 else made

    def with_default(self, field: dict[str, Any]) -> dict[str, Any]:
        """Return the field with a default that fits its type; without where there is none."""
        kind = field["type"]
        first = kind[0] if isinstance(kind, list) else kind
        plain = first.get("type") if isinstance(first, dict) else first
        if plain in DEFAULTS:
            return field | {"default": DEFAULTS[plain]}
        simple: dict[str, Callable[[], Any]] = {
            "array": list,
            "map": dict,
            "enum": lambda: first["symbols"][0],
            "fixed": lambda: "\u0001" * first["size"],
        }
        return field | {"default": simple[plain]()} if plain in simple else field

    def type(self, depth: int) -> Schema:
        """Return any type, nested at most `depth` deep."""
        makers: list[Callable[[], Schema]] = [
            *[lambda: self.random.choice(PRIMITIVES)] * 2,
            *(self.logical, self.enum, self.fixed, self.union),
        ]
        if depth > 0:
            makers += [
                lambda: {"type": "array", "items": self.type(depth - 1)},
                lambda: {"type": "map", "values": self.type(depth - 1)},
                lambda: self.record(self.name("R"), depth),
            ]
        return self.random.choice(makers)()

    def logical(self) -> Schema:
        """Return an annotated number."""
        name = self.random.choice(sorted(LOGICAL))
        return {"type": LOGICAL[name], "logicalType": name}

    def enum(self) -> Schema:
        """Return an enum, every other time with a default symbol."""
        symbols = list(string.ascii_uppercase[: self.random.randint(2, 4)])
        made = {"type": "enum", "name": self.name("E"), "symbols": symbols}
        return made | ({"default": symbols[0]} if self.random.random() < 0.5 else {})

    def fixed(self) -> Schema:
        """Return a fixed one."""
        return {"type": "fixed", "name": self.name("F"), "size": self.random.randint(1, 4)}

    def union(self) -> Schema:
        """Return a union, as a rule a nullable type."""
        if self.random.random() < 0.6:
            return ["null", self.random.choice(PRIMITIVES)]
        return self.random.sample(["null", *PRIMITIVES], self.random.randint(2, 3))

    def datum(self, kind: Schema) -> Any:
        """Return a value of a type, as fastavro takes it."""
        if isinstance(kind, list):
            return self.datum(self.random.choice(kind))
        if isinstance(kind, str):
            return self.random.choice(VALUES[kind])
        some: dict[str, Callable[[], Any]] = {
            "record": lambda: {f["name"]: self.datum(f["type"]) for f in kind["fields"]},
            "array": lambda: [self.datum(kind["items"]) for _ in range(self.random.randint(0, 2))],
            "map": lambda: {k: self.datum(kind["values"]) for k in self.random.choice(("", "ab"))},
            "enum": lambda: self.random.choice(kind["symbols"]),
            "fixed": lambda: self.random.randbytes(kind["size"]),
        }
        return some.get(kind["type"], lambda: self.datum(kind["type"]))()


def change(maker: Maker, record: Schema) -> None:
    """Change a record in place, once, somewhere."""
    inner = [t for f in record["fields"] for t in records_in(f["type"])]
    if inner and maker.random.random() < 0.4:
        change(maker, maker.random.choice(inner))
    else:
        maker.random.choice(CHANGES)(maker, record)


def records_in(kind: Schema) -> list[Schema]:
    """Return the records that stand in a type."""
    if isinstance(kind, list):
        return [found for branch in kind for found in records_in(branch)]
    if not isinstance(kind, dict):
        return []
    if kind["type"] == "record":
        return [kind]
    return records_in(kind.get("items", kind.get("values")))


def _some(maker: Maker, record: Schema) -> dict[str, Any]:
    """Return a field of the record, one of more when it has none."""
    if not record["fields"]:
        record["fields"].append(maker.field(0))
    chosen: dict[str, Any] = maker.random.choice(record["fields"])
    return chosen


def add_field(maker: Maker, record: Schema) -> None:
    """Add a field, with a default or without, at any place."""
    place = maker.random.randint(0, len(record["fields"]))
    record["fields"].insert(place, maker.field(1))


def remove_field(maker: Maker, record: Schema) -> None:
    """Take a field away."""
    record["fields"].remove(_some(maker, record))


def rename_field(maker: Maker, record: Schema) -> None:
    """Rename a field; the old name stays as an alias, or does not."""
    field = _some(maker, record)
    if maker.random.random() < 0.7:
        field["aliases"] = [*field.get("aliases", ()), field["name"]]
    field["name"] = maker.name("g")


def rename_type(maker: Maker, record: Schema) -> None:
    """Rename the record; the old name stays as an alias, or does not."""
    if maker.random.random() < 0.6:
        record["aliases"] = [f"{record['namespace']}.{record['name']}"]
    record["name"] = maker.name("Renamed")


def move_type(maker: Maker, record: Schema) -> None:
    """Move the record to another namespace."""
    record["namespace"] = maker.random.choice(("space", "elsewhere"))


def reorder(maker: Maker, record: Schema) -> None:
    """Shuffle the fields."""
    maker.random.shuffle(record["fields"])


def change_default(maker: Maker, record: Schema) -> None:
    """Take a default away or give one."""
    field = _some(maker, record)
    if field.pop("default", field) is field:
        field.update(maker.with_default(field))


def document(maker: Maker, record: Schema) -> None:
    """Say something."""
    _some(maker, record)["doc"] = maker.name("doc")


def widen(maker: Maker, record: Schema) -> None:
    """Promote a number, or a text to bytes."""
    field = _some(maker, record)
    retype(maker, field, maker.random.choice(WIDER.get(_plain(field["type"]), ("double",))))


def narrow(maker: Maker, record: Schema) -> None:
    """Go the other way."""
    field = _some(maker, record)
    narrower = [low for low, high in WIDER.items() if _plain(field["type"]) in high]
    retype(maker, field, maker.random.choice(narrower or ["int"]))


def exchange(maker: Maker, record: Schema) -> None:
    """Give a field another type."""
    retype(maker, _some(maker, record), maker.type(1))


def change_union(maker: Maker, record: Schema) -> None:
    """Make a type a union, or change the one that it is."""
    field = _some(maker, record)
    kind = field["type"]
    if not isinstance(kind, list):
        kind = [kind] if kind == "null" else ["null", kind]
    elif maker.random.random() < 0.4 and len(kind) > 1:
        kind = maker.random.sample(kind, len(kind) - 1)
    elif maker.random.random() < 0.5:
        kind = maker.random.sample(kind, len(kind))
    elif all(isinstance(branch, str) for branch in kind):
        kind = list(dict.fromkeys([*kind, maker.random.choice(PRIMITIVES)]))
    retype(maker, field, kind[0] if len(kind) == 1 else kind)


def change_enum(maker: Maker, record: Schema) -> None:
    """Add or remove symbols of an enum; give it a default or take it away."""
    for kind in _of(record, "enum"):
        if maker.random.random() < 0.5:
            kind["symbols"].append(f"S{maker.random.randint(0, 9)}{len(kind['symbols'])}")
        elif len(kind["symbols"]) > 1:
            kind["symbols"].pop()
        if maker.random.random() < 0.4 or kind.get("default") not in kind["symbols"]:
            kind.pop("default", None)
        _mend_defaults(maker, record)


def change_fixed(maker: Maker, record: Schema) -> None:
    """Change the size of a fixed one."""
    for kind in _of(record, "fixed"):
        kind["size"] = maker.random.randint(1, 4)
        _mend_defaults(maker, record)


def change_logical(maker: Maker, record: Schema) -> None:
    """Annotate a number otherwise, or no more."""
    field = _some(maker, record)
    kind = _plain(field["type"])
    fitting: list[Schema] = [{"type": t, "logicalType": n} for n, t in LOGICAL.items() if t == kind]
    if fitting:
        retype(maker, field, maker.random.choice([kind, *fitting]))


def change_items(maker: Maker, record: Schema) -> None:
    """Change what an array or a map holds."""
    for kind in (*_of(record, "array"), *_of(record, "map")):
        inner = "items" if kind["type"] == "array" else "values"
        kind[inner] = maker.random.choice([*WIDER.get(_plain(kind[inner]), ()), maker.type(0)])
        _mend_defaults(maker, record)


CHANGES: tuple[Callable[[Maker, Schema], None], ...] = (
    *(add_field, add_field, remove_field, rename_field, rename_type, move_type, reorder),
    *(change_default, document, widen, narrow, exchange, change_union, change_union),
    *(change_enum, change_fixed, change_logical, change_items),
)


def retype(maker: Maker, field: dict[str, Any], kind: Schema) -> None:
    """Give a field a type; a default that may no longer fit is made anew."""
    field["type"] = kind
    if "default" in field:
        del field["default"]
        field.update(maker.with_default(field))


def _mend_defaults(maker: Maker, record: Schema) -> None:
    for field in record["fields"]:
        retype(maker, field, field["type"])


def _of(record: Schema, kind: str) -> list[Schema]:
    types = (field["type"] for field in record["fields"])
    return [t for t in types if isinstance(t, dict) and t["type"] == kind]


def _plain(kind: Schema) -> str:
    return str(kind.get("type")) if isinstance(kind, dict) else str(kind)
