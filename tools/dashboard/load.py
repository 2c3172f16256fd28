"""A varied load of some minutes for the dashboard's picture.

Its runs succeed, fail, are retried, cancelled, evicted or queued. Every call creates the same runs
at the same times, apart from delays of the machine.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from taskruns.api import names
from tests.support.builders.manifests import shell, task_run
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, Object, Refused, Resource

SPACIOUS, NARROW = "pipelines", "small-team"
QUOTA_PODS = 3
PAUSE = 2.4
"""Average time between two runs, in seconds."""

QUOTAS = Resource("/api/v1", "resourcequotas")
_SOON = {"backoff": {"duration": "4s"}}
_SECOND_TRY = '[ "$TASKRUN_ATTEMPT" -ge 2 ]'


def _ignored() -> Object:
    codes = {"containerName": None, "operator": "In", "values": [42]}
    rules = {"rules": [{"action": "Ignore", "onExitCodes": codes}]}
    return shell(f"sleep 2; {_SECOND_TRY} || exit 42", podFailurePolicy=rules, **_SOON)


# By kind: its share of the runs in percent, and a function that builds its spec.
KINDS: dict[str, tuple[int, Callable[[int], Object]]] = {
    "short": (38, lambda seconds: shell(f"sleep {seconds / 10}")),
    "long": (18, lambda seconds: shell(f"sleep {seconds}")),
    "retried": (12, lambda _: shell(f"sleep 2; {_SECOND_TRY}", backoffLimit=2, **_SOON)),
    "failing": (7, lambda _: shell("sleep 1; exit 3")),
    "greedy": (4, lambda _: shell("tail /dev/zero", resources={"limits": {"memory": "12Mi"}})),
    "late": (4, lambda _: shell("sleep 90", activeDeadlineSeconds=8)),
    "cancelled": (6, lambda _: shell("sleep 90")),
    "evicted": (4, lambda _: shell("sleep 9", disruptionLimit=1, **_SOON)),
    "ignored": (3, lambda _: _ignored()),
    "misspelt": (2, lambda _: shell("true") | {"image": "Not An Image"}),
    "held": (2, lambda _: shell("true", suspend=True)),
}


class Load:
    """Load generator for one cluster."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._random = random.Random(4)  # noqa: S311 - no secret, and reproducible
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._number = 0

    def prepare(self) -> None:
        """Create the two namespaces, one of them with a quota."""
        for name in (SPACIOUS, NARROW):
            self._kube.create(NAMESPACES, None, {"metadata": {"name": name}})
        hard = {"spec": {"hard": {"pods": str(QUOTA_PODS)}}, "metadata": {"name": "pods"}}
        self._kube.create(QUOTAS, NARROW, hard)

    def pour(self, seconds: float) -> None:
        """Create runs for `seconds`.

        The rate rises until the middle and then falls. Several bursts exceed the quota.
        """
        began = time.monotonic()
        crowds = self._crowds(seconds)
        crowd = next(crowds)
        while (passed := time.monotonic() - began) < seconds:
            share = passed / seconds
            if passed >= crowd:
                for _ in range(12):
                    self._create(NARROW, "crowd", shell("sleep 5"))
                crowd = next(crowds)
            self._one()
            self._do_what_is_due()
            busy = 1.6 - 1.2 * abs(2 * share - 1)
            time.sleep(self._random.uniform(0.4, 1.6) * PAUSE / busy)

    def _crowds(self, seconds: float) -> Iterator[float]:
        yield from (seconds * 0.25, seconds * 0.65, float("inf"))

    def _one(self) -> None:
        weights = [weight for weight, _ in KINDS.values()]
        (kind,) = self._random.choices(list(KINDS), weights)
        spec = KINDS[kind][1](self._random.randint(8, 25))
        run = self._create(SPACIOUS, kind, spec)
        if kind == "cancelled":
            self._in(9, lambda: self._change(run, cancel=True))
        elif kind == "held":
            self._in(20, lambda: self._change(run, suspend=False))
        elif kind == "evicted":
            self._in(6, lambda: self._delete_pod(run))

    def _create(self, namespace: str, kind: str, spec: Object) -> Object:
        self._number += 1
        manifest = task_run(f"{kind}-{self._number}", namespace, spec)
        return self._kube.create(RUNS, namespace, manifest)

    def _in(self, seconds: float, do: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, do))

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        due = [do for at, do in self._later if at <= now]
        self._later = [(at, do) for at, do in self._later if at > now]
        for do in due:
            do()

    def _change(self, run: Object, **spec: Any) -> None:
        self._kube.merge(RUNS, SPACIOUS, run["metadata"]["name"], {"spec": spec})

    def _delete_pod(self, run: Object) -> None:
        metadata = run["metadata"]
        name = names.pod_name(metadata["name"], metadata["uid"], 1)
        try:
            self._kube.delete(PODS, SPACIOUS, name)
        except Refused:
            return  # the Pod has already ended
