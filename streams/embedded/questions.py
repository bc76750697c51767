"""A statement and the circumstances that an HTTP request gives it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.embedded.statements import Statement

SESSION_S = 60.0
"""How long a session is kept when nothing else is asked for, s."""


@dataclass(frozen=True, slots=True)
class External:
    """Data that comes with a question, as a table of its own: columns as in CREATE TABLE."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """A statement and the circumstances it shall run under; `mark` tells it from others."""

    statement: Statement
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    external: tuple[External, ...] = ()
    default_format: str = "TabSeparated"
    session: str = ""
    session_s: float = SESSION_S
    session_must_exist: bool = False
    readonly: bool = False
    streamed: bool = False
    compressed: bool = False
    mark: str = ""
