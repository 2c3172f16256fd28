"""What a used-up quota's sentence says: whether there could ever be room for the request.

The apiserver tells the numbers only in its message:
`exceeded quota: Q, requested: pods=1, used: pods=3, limited: pods=3`.
"""

import re
from decimal import Decimal, InvalidOperation

_EXCEEDED = re.compile(
    r"exceeded quota: (?P<name>\S+), requested: (?P<requested>\S+), "
    r"used: (?P<used>\S+), limited: (?P<limited>\S+)"
)
_QUANTITY = re.compile(
    r"(?P<number>[+-]?[0-9.]+(?:[eE][+-]?\d+)?)(?P<suffix>[KMGTPE]i|[numkMGTPE])?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def is_exceeded(message: str) -> bool:
    """Whether the sentence tells of a quota that has not enough left."""
    return "exceeded quota: " in message


def could_fit(message: str) -> bool:
    """Whether the request would fit if nothing else used the quota; True when it cannot be told."""
    found = _EXCEEDED.search(message)
    if found is None:
        return True
    requested, limited = _amounts(found["requested"]), _amounts(found["limited"])
    return all(amount <= limited.get(name, amount) for name, amount in requested.items())


def _amounts(text: str) -> dict[str, Decimal]:
    pairs = (item.partition("=") for item in text.split(","))
    amounts = {name: quantity(value) for name, _, value in pairs}
    return {name: amount for name, amount in amounts.items() if amount is not None}


def quantity(text: str) -> Decimal | None:
    """Read a Kubernetes quantity such as `500m`, `1Gi` or `3`; None for anything else."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    try:
        number, suffix = Decimal(found["number"]), found["suffix"] or ""
    except InvalidOperation:
        return None
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    return number.scaleb(_DECIMAL.get(suffix, 0))
