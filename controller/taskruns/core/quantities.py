"""Amounts of CPU, memory and other resources, as Kubernetes writes them."""

import re
from decimal import Decimal, DecimalException

_QUANTITY = re.compile(
    r"(?P<number>[+-]?[0-9.]+(?:[eE][+-]?\d+)?)(?P<suffix>[KMGTPE]i|[numkMGTPE])?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def read_quantity(text: str) -> Decimal | None:
    """Read a Kubernetes quantity such as `500m`, `1Gi` or `3`; None for anything else."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    try:
        number, suffix = Decimal(found["number"]), found["suffix"] or ""
        if suffix in _BINARY:
            return number * Decimal(1024) ** _BINARY[suffix]
        return number.scaleb(_DECIMAL.get(suffix, 0))
    except DecimalException:
        return None
