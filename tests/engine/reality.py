"""Lab on the real cluster: real time passes, and waits are woken by watch events."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from typing_extensions import override

from tests.engine.driver import Driver
from tests.engine.lab import Lab, Object, Told
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, events_about
from tests.support.cluster.watch_recorder import Journal

T = TypeVar("T")

PATIENCE = 90
"""Timeout of every wait of a scenario, in seconds."""


class KubernetesLab(Lab):
    """Lab with its own namespace on a real cluster."""

    def __init__(self, kube: Kube, journal: Journal, kubeconfig: Path) -> None:
        self._kube = kube
        self._journal = journal
        self._kubeconfig = kubeconfig
        self._drivers: list[Driver] = []
        created = kube.create(NAMESPACES, None, {"metadata": {"generateName": "engine-"}})
        self.namespace = created["metadata"]["name"]

    def close(self) -> None:
        """Delete all runs while a controller can release their Pods, then the namespace."""
        for run in self._journal.present(RUNS, self.namespace):
            self._kube.delete(RUNS, self.namespace, run["metadata"]["name"])
        self.wait("all Pods are gone", lambda: None if self._pods_of_runs() else True)
        self.pause()
        self._kube.delete(NAMESPACES, None, self.namespace)

    def _pods_of_runs(self) -> list[Object]:
        return [pod for pod in self.pods() if pod["metadata"].get("finalizers")]

    @override
    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        def look_out() -> T | None:
            for driver in self._drivers:
                if driver.failure is not None:
                    raise driver.failure
            return look()

        return self._journal.wait(look_out, PATIENCE, what)

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
        runs = self._journal.present(RUNS, self.namespace)
        return next((run for run in runs if run["metadata"]["name"] == name), None)

    @override
    def pods(self) -> list[Object]:
        return list(self._journal.present(PODS, self.namespace))

    @override
    def events(self, run_uid: str) -> list[Told]:
        return [
            Told(
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
        for driver in self._drivers:
            driver.stop()
        self._drivers.clear()

    @override
    def resume(self, *, blind_to_pods: bool = False) -> None:
        driver = Driver(
            self._journal, self._kubeconfig, self.namespace, blind_to_pods=blind_to_pods
        )
        driver.start()
        self._drivers.append(driver)

    def _await_version(self, made: Object) -> None:
        """Wait until the journal has seen a write."""
        uid, version = made["metadata"]["uid"], int(made["metadata"]["resourceVersion"])

        def look() -> bool | None:
            last = self._journal.last(uid)
            latest = int(last.found["metadata"]["resourceVersion"]) if last else 0
            return True if latest >= version else None

        self._journal.wait(look, PATIENCE, "the journal sees a write")
