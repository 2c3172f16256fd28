"""Lets go of every Pod, so that none waits for a controller that does not come back.

Work that has been let run goes on. What has ended is judged first, as ever. A Pod that nobody has
let run is deleted, and its run told so: it is a disruption before the start. Nothing is begun.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NoReturn

from typing_extensions import override

from taskruns.core.defaults import SiteDefaults
from taskruns.core.facts import PodFacts, read_pod
from taskruns.core.plan import PodRef
from taskruns.engines.cache import Cache, RunKey
from taskruns.engines.engine import EngineError, Object, RunRef
from taskruns.engines.kubernetes import listing
from taskruns.engines.kubernetes.connection import Connection
from taskruns.engines.kubernetes.engine import KubernetesEngine
from taskruns.engines.reconcile import NotSettled, reconcile

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Runs that are seen to at the same time."""

_A_YEAR = timedelta(days=365)
_NO_DEFAULTS = SiteDefaults(-1, _A_YEAR, int(_A_YEAR.total_seconds()))
"""The controller's own are not known here: nothing is cleared away or stopped by them."""


class StoodDown(EngineError):
    """What was wanted begins something, or ends a TaskRun: not before an uninstall."""


class LastLooks(KubernetesEngine):
    """Records outcomes and lets go; begins nothing."""

    @override
    async def create_pod(self, manifest: Object) -> NoReturn:
        raise StoodDown("no Pod is created any more")

    @override
    async def release_gate(self, pod: PodRef) -> NoReturn:
        raise StoodDown("no Pod is let run any more")

    @override
    async def delete_run(self, run: RunRef, resource_version: str) -> NoReturn:
        raise StoodDown("no TaskRun is deleted")


class Farewell:
    """Takes leave of the Pods of some namespaces, or of EVERYWHERE."""

    def __init__(
        self, connection: Connection, namespaces: Sequence[str], now: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._engine = LastLooks(connection)
        self._namespaces = namespaces
        self._now = now
        self._free = asyncio.Semaphore(AT_ONCE)

    async def look(self) -> list[str]:
        """Say of each Pod that still needs something what would be done, and do nothing.

        Raises:
            EngineError: what there is cannot be listed.
        """
        told: list[str] = []
        for namespace in self._namespaces:
            cache, strays = await self._read(namespace)
            pods = [pod for key in set(cache.keys()) for pod in _facts(cache, key)]
            told += [f"{_name(pod.ref)}: {_fate(pod)}" for pod in pods if _needs(pod)]
            told += [f"{_name(stray)}: let go" for stray in strays]
        return sorted(told)

    async def let_go(self, *, patient: bool) -> int:
        """Do once what each Pod needs; return how many were found to need something.

        While `patient`, what cannot be judged is left for the next time, and so is a Pod that is
        being deleted at work: its end is still to be told.

        Raises:
            NotAllowed: a namespace may not be listed; the others have been seen to.
            EngineError: what there is cannot be listed.
        """
        found, refused = 0, None
        for namespace in self._namespaces:
            try:
                found += await self._let_go_in(namespace, patient=patient)
            except listing.NotAllowed as error:
                refused = error
        if refused is not None:
            raise refused
        return found

    async def _let_go_in(self, namespace: str, *, patient: bool) -> int:
        cache, strays = await self._read(namespace)
        needy = {key for key in set(cache.keys()) if any(map(_needs, _facts(cache, key)))}
        found = sum(_needs(pod) for key in needy for pod in _facts(cache, key))
        runs = (self._see_to(key, cache, patient=patient) for key in needy)
        await asyncio.gather(*runs, *(self._release(stray) for stray in strays))
        return found + len(strays)

    async def _read(self, namespace: str) -> tuple[Cache, list[PodRef]]:
        """Read what carries our label, and what has lost it and is held all the same."""
        cache = Cache()
        ours = await listing.list_ours(self._connection, namespace)
        for pod in ours:
            cache.put_pod(pod)
        known = {pod["metadata"]["uid"] for pod in ours}
        held = await listing.list_held(self._connection, namespace)
        return cache, [read_pod(pod).ref for pod in held if pod["metadata"]["uid"] not in known]

    async def _see_to(self, key: RunKey, cache: Cache, *, patient: bool) -> None:
        alive = True
        async with self._free:
            try:
                alive = await self._settle(key, cache)
            except (EngineError, NotSettled) as error:
                log.warning("%s: %s", _name(_facts(cache, key)[0].ref), error)
                if patient:
                    return
        for pod in _facts(cache, key):
            unfinished = alive and pod.deleting and not pod.ended
            if pod.held and not (patient and unfinished):
                await self._release(pod.ref, _fate(pod))

    async def _settle(self, key: RunKey, cache: Cache) -> bool:
        """Delete what was never let run, and judge what has ended; return if the run is alive."""
        for pod in _facts(cache, key):
            if _unstarted(pod) and not pod.deleting:
                log.info("%s: deleted: it was never let run", _name(pod.ref))
                answer = await self._engine.delete_pod(pod.ref, pod.resource_version)
                if answer is None:
                    cache.drop_pod(pod.ref.uid)
                else:
                    cache.put_pod(answer)
        view = cache.view(key)
        run = await self._engine.read_run(key.namespace, view.ref.name)
        if run is None or run["metadata"]["uid"] != key.uid:
            return False
        cache.put_run(run)
        if any(pod.ended for pod in _facts(cache, key)):
            try:
                await reconcile(key, cache, self._engine, self._now, _NO_DEFAULTS)
            except StoodDown as no:
                log.debug("%s", no)
        return "deletionTimestamp" not in run["metadata"]

    async def _release(self, pod: PodRef, fate: str = "let go") -> None:
        async with self._free:
            try:
                await self._engine.release_pod(pod)
            except EngineError as error:
                log.warning("%s: %s", _name(pod), error)
            else:
                log.info("%s: %s", _name(pod), fate)


def _facts(cache: Cache, key: RunKey) -> list[PodFacts]:
    return [read_pod(pod) for pod in cache.view(key).pods]


def _needs(pod: PodFacts) -> bool:
    return pod.held or _unstarted(pod)


def _unstarted(pod: PodFacts) -> bool:
    """Whether this is a Pod of a run that nobody has let run yet; a label alone does not say so."""
    return pod.gated and pod.owner_uid == pod.run_uid


def _fate(pod: PodFacts) -> str:
    if _unstarted(pod):
        return "to be deleted: it was never let run"
    return "let go: it has ended" if pod.ended else "let go: it goes on"


def _name(pod: PodRef) -> str:
    return f"{pod.namespace}/{pod.name}"
