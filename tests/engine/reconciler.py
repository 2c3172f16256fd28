"""Controller without kopf: a thread that reconciles the runs that changed in the recorded watch.

`tests/operator` tests the kopf handlers. Here only the reconcile and the engine are tested, so that
nothing else differs between the simulation and Kubernetes.
"""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from taskruns.engines.cache import Cache, RunKey, key_of_pod
from taskruns.engines.engine import Engine, Unavailable
from taskruns.engines.kubernetes.connection import connect
from taskruns.engines.kubernetes.engine import KubernetesEngine
from taskruns.engines.quota_queue import QuotaQueue
from taskruns.engines.reconcile import NotSettled, reconcile
from tests.engine.runtime import SITE
from tests.support.cluster.client import PODS, RUNS, Object
from tests.support.cluster.watch_recorder import WaitTimeout, WatchRecorder

CONNECTIONS = 10
RETRY = timedelta(seconds=1)
ROUND_SECONDS = 1.0
EVENTS_SECONDS = 5.0


def now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Reconciles the runs of one namespace until it is stopped, as abruptly as by a kill."""

    def __init__(
        self,
        watch_recorder: WatchRecorder,
        kubeconfig: Path,
        namespace: str,
        *,
        blind_to_pods: bool,
    ) -> None:
        self._watch_recorder = watch_recorder
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._blind_to_pods = blind_to_pods
        self._cache = Cache()
        self._seen: dict[str, str] = {}
        self._alarms: dict[RunKey, datetime] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), daemon=True)
        self.failure: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(timeout=30)

    async def _work(self) -> None:
        connection = await connect(str(self._kubeconfig), None, CONNECTIONS)
        try:
            kubernetes = KubernetesEngine(connection)
            engine = QuotaQueue(kubernetes, self._cache, now, self._ask)
            while not self._ending.is_set():
                await asyncio.to_thread(self._await_something)
                for key in self._take_in() | self._due():
                    await self._reconcile(key, engine)
            await kubernetes.drain(EVENTS_SECONDS)
        except Exception as error:  # noqa: BLE001 - the waiting scenario raises it
            self.failure = error
        finally:
            await connection.close()

    def _ask(self, key: RunKey) -> None:
        self._alarms[key] = now()

    def _await_something(self) -> None:
        alarm = min(self._alarms.values(), default=now() + timedelta(seconds=ROUND_SECONDS))
        left = min((alarm - now()).total_seconds(), ROUND_SECONDS)

        def look() -> bool | None:
            return True if self._ending.is_set() or self._versions() != self._seen else None

        try:
            self._watch_recorder.wait(look, max(left, 0.0), "something changes")
        except WaitTimeout:
            return

    def _present(self) -> tuple[list[Object], list[Object]]:
        pods = [] if self._blind_to_pods else self._watch_recorder.present(PODS, self._namespace)
        ours = [pod for pod in pods if key_of_pod(pod) is not None]
        return self._watch_recorder.present(RUNS, self._namespace), ours

    def _versions(self) -> dict[str, str]:
        found = [found["metadata"] for kind in self._present() for found in kind]
        return {metadata["uid"]: metadata["resourceVersion"] for metadata in found}

    def _take_in(self) -> set[RunKey]:
        """Update the cache from the watch recorder; return the keys of changed runs."""
        runs, pods = self._present()
        self._seen, before = self._versions(), self._seen
        changed = {uid for uid, version in self._seen.items() if before.get(uid) != version}
        keys = {self._cache.put_run(run) for run in runs if run["metadata"]["uid"] in changed}
        for pod in (pod for pod in pods if pod["metadata"]["uid"] in changed):
            if (key := self._cache.put_pod(pod)) is not None:
                keys.add(key)
        for uid in before.keys() - self._seen.keys():
            keys |= self._lose(uid)
        return keys

    def _lose(self, uid: str) -> set[RunKey]:
        """Remove a vanished object from the cache; return the keys of its runs.

        The last state of the object decides whether it was a Pod or a TaskRun.
        """
        last = self._watch_recorder.last(uid)
        if last is not None and (key := key_of_pod(last.found)) is not None:
            self._cache.put_pod(last.found)
            self._cache.lose_pod(uid)
            return {key}
        self._cache.drop_run(uid)
        return {RunKey(self._namespace, uid)}

    def _due(self) -> set[RunKey]:
        return {key for key, moment in self._alarms.items() if moment <= now()}

    async def _reconcile(self, key: RunKey, engine: Engine) -> None:
        self._alarms.pop(key, None)
        try:
            alarm = await reconcile(key, self._cache, engine, now, SITE)
        except (Unavailable, NotSettled):
            alarm = now() + RETRY
        if alarm is not None:
            self._alarms[key] = alarm
