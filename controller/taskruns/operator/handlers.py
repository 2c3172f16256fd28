"""What the watch says goes into the cache, and the run's key onto the queue. Nothing else."""

from collections.abc import Callable
from typing import Any

import kopf

from taskruns.api import names
from taskruns.engines.cache import Cache, RunKey, key_of_pod, key_of_run

DELETED = "DELETED"


class Intake:
    """Takes in watch events; told by kopf, so it must return at once."""

    def __init__(
        self,
        cache: Cache,
        ask: Callable[[RunKey], None],
        arrived: Callable[[str], None],
    ) -> None:
        self._cache = cache
        self._ask = ask
        self._arrived = arrived

    def take_run(self, event: kopf.RawEvent) -> None:
        """Take in an event of a TaskRun."""
        run: Any = event["object"]
        if event["type"] == DELETED:
            self._cache.drop_run(run["metadata"]["uid"])
        else:
            self._cache.put_run(run)
        self._ask(key_of_run(run))
        self._arrived(run["metadata"]["uid"])

    def take_pod(self, event: kopf.RawEvent) -> None:
        """Take in an event of a Pod; the last one tells how it ended, so it is kept as seen."""
        pod: Any = event["object"]
        self._cache.put_pod(pod)
        if event["type"] == DELETED:
            self._cache.lose_pod(pod["metadata"]["uid"])
        if (key := key_of_pod(pod)) is not None:
            self._ask(key)
        self._arrived(pod["metadata"]["uid"])


def register(registry: kopf.OperatorRegistry, intake: Intake) -> None:
    """Have kopf watch the two kinds, and nothing more: such handlers write nothing to objects."""

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def run_seen(event: kopf.RawEvent, **_: Any) -> None:
        intake.take_run(event)

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod_seen(event: kopf.RawEvent, **_: Any) -> None:
        intake.take_pod(event)
