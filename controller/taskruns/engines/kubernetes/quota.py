"""What a used-up quota's sentence says: whether there could ever be room for the request.

The apiserver tells the numbers only in its message:
`exceeded quota: Q, requested: pods=1, used: pods=3, limited: pods=3`.
"""

import re
from decimal import Decimal

from taskruns.core.quantities import read_quantity

_EXCEEDED = re.compile(
    r"exceeded quota: (?P<name>\S+), requested: (?P<requested>\S+), "
    r"used: (?P<used>\S+), limited: (?P<limited>\S+)"
)


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
    amounts = {name: read_quantity(value) for name, _, value in pairs}
    return {name: amount for name, amount in amounts.items() if amount is not None}
