"""Runtime on the real cluster: real time passes, and waits are woken by watch events."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from typing_extensions import override

from tests.engine.reconciler import Reconciler
from tests.engine.runtime import Object, RecordedEvent, Runtime
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, events_about
from tests.support.cluster.watch_recorder import WatchRecorder

T = TypeVar("T")

PATIENCE = 90
"""Timeout of every wait of a scenario, in seconds."""


class KubernetesRuntime(Runtime):
    """Runtime with its own namespace on a real cluster."""

    def __init__(self, kube: Kube, watch_recorder: WatchRecorder, kubeconfig: Path) -> None:
        self._kube = kube
        self._watch_recorder = watch_recorder
        self._kubeconfig = kubeconfig
        self._drivers: list[Reconciler] = []
        created = kube.create(NAMESPACES, None, {"metadata": {"generateName": "engine-"}})
        self.namespace = created["metadata"]["name"]

    def close(self) -> None:
        """Delete all runs while a controller can release their Pods, then the namespace."""
        for run in self._watch_recorder.present(RUNS, self.namespace):
            self._kube.delete(RUNS, self.namespace, run["metadata"]["name"])
        self.wait("all Pods are gone", lambda: None if self._pods_of_runs() else True)
        self.pause()
        self._kube.delete(NAMESPACES, None, self.namespace)

    def _pods_of_runs(self) -> list[Object]:
        return [pod for pod in self.pods() if pod["metadata"].get("finalizers")]

    @override
    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        def look_out() -> T | None:
            for reconciler in self._drivers:
                if reconciler.failure is not None:
                    raise reconciler.failure
            return look()

        return self._watch_recorder.wait(look_out, PATIENCE, what)

    @override
    def create_run(self, manifest: Object) -> Object:
        created = self._kube.create(RUNS, self.namespace, manifest)
        self._await_version(created)
        return created

    @override
    def create_pod(self, manifest: Object) -> Object:
        return self._kube.create(PODS, self.namespace, manifest)

    @override
    def run(self, name: str) -> Object | None:
        runs = self._watch_recorder.present(RUNS, self.namespace)
        return next((run for run in runs if run["metadata"]["name"] == name), None)

    @override
    def pods(self) -> list[Object]:
        # A list is newer than the two watches, whose events are not in the order of each other.
        return list(self._kube.list(PODS, self.namespace))

    @override
    def events(self, run_uid: str) -> list[RecordedEvent]:
        return [
            RecordedEvent(
                event["reason"],
                event["count"],
                event["message"],
                (event.get("related") or {}).get("uid", ""),
            )
            for event in events_about(self._kube, self.namespace, run_uid)
        ]

    @override
    def patch_run(self, name: str, patch: Object) -> None:
        self._await_version(self._kube.merge(RUNS, self.namespace, name, patch))

    @override
    def delete_run(self, name: str, *, foreground: bool = False) -> None:
        options = {"propagationPolicy": "Foreground"} if foreground else None
        self._kube.delete(RUNS, self.namespace, name, options)

    @override
    def delete_pod(self, name: str) -> None:
        self._kube.delete(PODS, self.namespace, name)

    @override
    def pause(self) -> None:
        for reconciler in self._drivers:
            reconciler.stop()
        self._drivers.clear()

    @override
    def resume(self, *, blind_to_pods: bool = False) -> None:
        reconciler = Reconciler(
            self._watch_recorder, self._kubeconfig, self.namespace, blind_to_pods=blind_to_pods
        )
        reconciler.start()
        self._drivers.append(reconciler)

    def _await_version(self, made: Object) -> None:
        """Wait until the watch recorder has seen a write."""
        uid, version = made["metadata"]["uid"], int(made["metadata"]["resourceVersion"])

        def look() -> bool | None:
            last = self._watch_recorder.last(uid)
            latest = int(last.found["metadata"]["resourceVersion"]) if last else 0
            return True if latest >= version else None

        self._watch_recorder.wait(look, PATIENCE, "a write is recorded")
