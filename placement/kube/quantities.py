"""Quantities as Kubernetes writes them: `250m`, `64Gi`, `1e3`. Pure."""

import re
from decimal import Decimal
from math import ceil

_FORM = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_UNITS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(1000),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
_MOST = Decimal(2**63 - 1)
"""The largest quantity that there is; the API, too, takes a larger one for it."""


def quantity(text: str) -> Decimal:
    """Return a quantity in its unit: cores, bytes, pieces; 0 for what is none."""
    form = _FORM.fullmatch(str(text).strip())
    if form is None:
        return Decimal(0)
    number, unit = form.groups()
    try:
        value = Decimal(number) * _UNITS[unit or ""]
    except ArithmeticError:
        return Decimal(0)
    return max(-_MOST, min(_MOST, value))


def milli(text: str) -> int:
    """Return a quantity in thousandths, rounded up."""
    return ceil(quantity(text) * 1000)


def mebi(text: str) -> int:
    """Return a quantity of bytes in MiB, cut off."""
    return int(quantity(text) / (1024 * 1024))


def whole(text: str) -> int:
    """Return a quantity of pieces, cut off."""
    return int(quantity(text))
