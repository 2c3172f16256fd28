"""Quantities of Kubernetes as the numbers that Docker takes. Pure."""

import math
from decimal import Decimal

from taskruns.core.quantities import read_quantity

_LARGEST = 2**63 - 1
_NANO = 10**9
_SHARES = 1024
"""CPU shares of one whole CPU, as the kubelet counts them."""
_FRACTIONS = ("n", "u", "m")
_LEAST_OF_FRACTIONS = 2**20
"""Bytes below which a size that is written in thousandths of a byte is a mistake."""


def is_amount(value: object) -> bool:
    """Whether a value is a quantity that Docker can be given."""
    amount = _read(value)
    return amount is not None and amount * _NANO <= _LARGEST


def is_size(value: object) -> bool:
    """Whether a value is a number of bytes; `512m` is half of one, and meant otherwise."""
    size = _read(value)
    if size is None:
        return False
    return not str(value).endswith(_FRACTIONS) or size == 0 or size >= _LEAST_OF_FRACTIONS


def nano_cpus(value: object) -> int:
    """Return a quantity of CPUs in billionths of one."""
    return math.ceil((_read(value) or 0) * _NANO)


def cpu_shares(value: object) -> int:
    """Return a request for CPUs as a weight."""
    return max(int((_read(value) or 0) * _SHARES), 2)


def size_in_bytes(value: object) -> int:
    """Return a size in bytes, rounded up as Kubernetes does."""
    return math.ceil(_read(value) or 0)


def _read(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    amount = read_quantity(str(value))
    if amount is None or not 0 <= amount <= _LARGEST:
        return None
    return amount
