"""The one place where source that Weir itself wrote becomes a function.

What is written is made of the names of fields in the schema files that ship with the package, and
of nothing that came over a wire.
"""

from typing import Any


def define(source: str, names: dict[str, Any]) -> None:
    """Run the definition of a function among names, where it then stands by its own."""
    exec(source, names)  # noqa: S102 - made of the names of fields in our own schemas
