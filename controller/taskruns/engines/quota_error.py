"""Parser of the apiserver's quota error: which quota, what it counts, whether waiting helps.

The apiserver reports this only in the message of its response:
`exceeded quota: Q, requested: pods=1, used: pods=3, limited: pods=3`.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from taskruns.core.unstructured import read_quantity

_BEGINNING = "exceeded quota: "
_EXCEEDED = re.compile(
    r"requested: (?P<requested>\S+), "
    r"used: (?P<used>\S+), limited: (?P<limited>\S+)"
)
_PODS, _POD_OBJECTS = "pods", "count/pods"
"""Quota resources: Pods that have not ended, and all existing Pods."""


@dataclass(frozen=True, slots=True)
class QuotaError:
    """A quota without enough room for a Pod. Amounts that cannot be parsed are assumed to fit."""

    sentence: str
    """The apiserver's message from `exceeded quota` on; nothing in it is specific to one Pod."""
    quota: str
    """The quota's name."""
    could_fit: bool
    """Whether the request would fit if nothing else used the quota."""
    counts_pods: bool
    """Whether only the number of Pods is exceeded; then each Pod that ends makes room for one."""
    until_gone: bool
    """Whether ended Pods use quota until they are deleted."""


def read_shortage(message: str) -> QuotaError | None:
    """Parse the apiserver's message; return None if it is not about a used-up quota."""
    start = message.find(_BEGINNING)
    if start < 0:
        return None
    sentence = message[start:]
    quota = sentence.removeprefix(_BEGINNING).partition(",")[0]
    match = _EXCEEDED.search(sentence)
    if match is None:
        return QuotaError(sentence, quota, could_fit=True, counts_pods=False, until_gone=False)
    requested, limited = _amounts(match["requested"]), _amounts(match["limited"])
    fits = all(amount <= limited.get(name, amount) for name, amount in requested.items())
    return QuotaError(
        sentence,
        quota,
        could_fit=fits,
        counts_pods=bool(requested) and requested.keys() <= {_PODS, _POD_OBJECTS},
        until_gone=_POD_OBJECTS in requested,
    )


def _amounts(text: str) -> dict[str, Decimal]:
    pairs = (item.partition("=") for item in text.split(","))
    amounts = {name: read_quantity(value) for name, _, value in pairs}
    return {name: amount for name, amount in amounts.items() if amount is not None}
