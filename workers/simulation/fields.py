"""What all parts of a scenario have in common: frozen, strict, finite. Pure."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict

T = TypeVar("T")


class Part(BaseModel):
    """Base of all parts: unknown keys, texts for numbers, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Ms = Annotated[float, Field(gt=0, le=1e9)]
"""A time that is more than nothing, ms."""
Instant = Annotated[float, Field(ge=0, le=1e9)]
"""An instant after the beginning, or a time that may be nothing; ms."""
Listed = Annotated[tuple[T, ...], Strict(strict=False)]
"""A list of the file; its items stay strict."""
