"""The faults of one session, computed from its seed and nothing else."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of faults; the value is the row of the table."""

    KILL_CONTROLLER = "controllers killed"
    FREEZE_CONTROLLER = "controllers frozen"
    DELETE_POD = "Pods deleted"
    EVICT_POD = "Pods evicted"
    CANCEL_RUN = "runs cancelled"
    TAKE_QUOTA = "quotas taken"
    STOP_APISERVER = "apiserver stopped"
    KILL_APISERVER = "apiserver killed"
    KILL_ETCD = "etcd killed"
    DELETE_NODE = "Nodes deleted"
    POWER_OFF_NODE = "nodes powered off"


WITHOUT_SPARE_NODE = tuple(kind for kind in Kind if kind is not Kind.POWER_OFF_NODE)
"""The faults that need no further node, which takes long to be started."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    at: float
    """Seconds since the first run was created."""
    kind: Kind
    choice: float
    """Choice among the targets: 0 is the first, just below 1 the last."""
    seconds: float
    """How long it lasts, if it does."""


_WEIGHTS: dict[Kind, int] = {
    Kind.KILL_CONTROLLER: 8,
    Kind.FREEZE_CONTROLLER: 8,
    Kind.DELETE_POD: 8,
    Kind.EVICT_POD: 8,
    Kind.CANCEL_RUN: 4,
    Kind.TAKE_QUOTA: 3,
    Kind.STOP_APISERVER: 1,
    Kind.KILL_APISERVER: 1,
    Kind.KILL_ETCD: 1,
    Kind.DELETE_NODE: 1,
    Kind.POWER_OFF_NODE: 1,
}
_DURATIONS: dict[Kind, tuple[float, float]] = {
    Kind.KILL_CONTROLLER: (0, 5),
    Kind.FREEZE_CONTROLLER: (0.5, 20),
    Kind.TAKE_QUOTA: (3, 15),
    Kind.STOP_APISERVER: (0, 5),
    Kind.KILL_APISERVER: (0, 5),
    Kind.KILL_ETCD: (0, 5),
    Kind.DELETE_NODE: (5, 90),
    Kind.POWER_OFF_NODE: (0, 10),
}
_PAUSE = (1.0, 4.0)
"""Shortest and longest time between two faults, in seconds."""


def faults(seed: int, seconds: float, kinds: Sequence[Kind] = tuple(Kind)) -> list[Fault]:
    """Return the faults of the given time: each kind once in random order, then by weight."""
    chance = random.Random(seed)
    once = chance.sample(kinds, len(kinds))
    weights = [_WEIGHTS[kind] for kind in kinds]
    result: list[Fault] = []
    at = chance.uniform(*_PAUSE)
    while at < seconds:
        kind = once.pop() if once else chance.choices(kinds, weights)[0]
        duration = chance.uniform(*_DURATIONS.get(kind, (0, 0)))
        result.append(Fault(at, kind, chance.random(), duration))
        at += chance.uniform(*_PAUSE)
    return result
