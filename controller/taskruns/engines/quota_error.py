"""What a used-up quota's sentence says: which quota it is, what it counts, whether waiting helps.

The apiserver tells it only in its message:
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
"""Pods that have not ended; all Pods that there are."""


@dataclass(frozen=True, slots=True)
class QuotaError:
    """A quota that has not enough left for a Pod. What cannot be read is taken for the best."""

    sentence: str
    """The apiserver's, from `exceeded quota` on: nothing in it is about one Pod alone."""
    quota: str
    """The quota's name."""
    could_fit: bool
    """Whether the request would fit if nothing else used the quota."""
    counts_pods: bool
    """Whether it is only the number of Pods that is used up: then each makes room for one."""
    until_gone: bool
    """Whether Pods that have ended count until they are deleted."""


def read_shortage(message: str) -> QuotaError | None:
    """Read what the apiserver says about a used-up quota; None when it says no such thing."""
    start = message.find(_BEGINNING)
    if start < 0:
        return None
    sentence = message[start:]
    quota = sentence.removeprefix(_BEGINNING).partition(",")[0]
    found = _EXCEEDED.search(sentence)
    if found is None:
        return QuotaError(sentence, quota, could_fit=True, counts_pods=False, until_gone=False)
    requested, limited = _amounts(found["requested"]), _amounts(found["limited"])
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
