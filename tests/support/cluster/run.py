"""One TaskRun as a test follows it: its present and past versions, waits, and changes."""

from collections.abc import Callable, Mapping
from typing import Any

from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES, Phase
from tests.support.cluster.client import PODS, RUNS, Kube, Object
from tests.support.cluster.watch_recorder import Observation, WatchRecorder

FIRST_LOOK = 30
"""Limit for a running controller to have reconciled a run once, in seconds."""

END = 90
"""Limit for a short run to have ended on a busy machine, in seconds."""


class Run:
    """Follow exactly one TaskRun, by its uid."""

    def __init__(self, created: Object, kube: Kube, watch_recorder: WatchRecorder) -> None:
        self._kube = kube
        self._watch_recorder = watch_recorder
        self.name: str = created["metadata"]["name"]
        self.namespace: str = created["metadata"]["namespace"]
        self.uid: str = created["metadata"]["uid"]
        self.spec: Object = created["spec"]

    # ------------------------------------------------------------------ present and past

    def history(self) -> tuple[Observation, ...]:
        return self._watch_recorder.history(self.uid)

    def seen(self) -> Object:
        """Return the last known version of the TaskRun, also after its deletion."""
        last = self._watch_recorder.last(self.uid)
        assert last is not None, f"{self.name} was never seen"
        return last.found

    @property
    def status(self) -> Object:
        last = self._watch_recorder.last(self.uid)
        status: Object = (last.found.get("status") or {}) if last else {}
        return status

    def phases(self) -> list[str]:
        """Return every phase of the run in order, without repetition."""
        phases: list[str] = []
        for version in self.history():
            phase = (version.found.get("status") or {}).get("phase")
            if phase and phases[-1:] != [phase]:
                phases.append(phase)
        return phases

    def pod_name(self, attempt: int = 1) -> str:
        return names.pod_name(self.name, self.uid, attempt)

    def pods(self) -> tuple[tuple[Observation, ...], ...]:
        """Return the histories of all Pods of the run."""
        return self._watch_recorder.pods_of(self.uid)

    def pod(self, attempt: int = 1) -> Object:
        """Return the last known version of an attempt's Pod, also after its deletion."""
        name = self.pod_name(attempt)
        pods = [history[-1].found for history in self.pods()]
        return next(pod for pod in pods if pod["metadata"]["name"] == name)

    def log(self, attempt: int = 1, container: str = "main") -> str:
        return self._kube.log(self.namespace, self.pod_name(attempt), container)

    # ------------------------------------------------------------------ waiting

    def looked_at(self, seconds: float = END) -> None:
        """Wait until the controller has written a phase."""
        self._watch_recorder.wait(
            lambda: self.phases() or None, seconds, f"{self.name} has a phase"
        )

    def reaches(self, phase: Phase, seconds: float = END) -> Object:
        """Return the first status in a phase; fail at once if the run has ended in another."""

        def look() -> Object | None:
            for version in self.history():
                status: Object = version.found.get("status") or {}
                if status.get("phase") == phase:
                    return status
                assert status.get("phase") not in TERMINAL_PHASES, (
                    f"{self.name} ended before it was {phase}: {status}"
                )
            return None

        return self._watch_recorder.wait(look, seconds, f"{self.name} is {phase}")

    def says(self, reason: str, seconds: float = END) -> Object:
        """Return the first status with a reason."""

        def look() -> Object | None:
            statuses: list[Object] = [entry.found.get("status") or {} for entry in self.history()]
            return next((status for status in statuses if status.get("reason") == reason), None)

        return self._watch_recorder.wait(look, seconds, f"{self.name} says {reason}")

    def ended(self, seconds: float = END) -> Object:
        """Return the terminal status of the run."""

        def look() -> Object | None:
            status = self.status
            return status if status.get("phase") in TERMINAL_PHASES else None

        return self._watch_recorder.wait(look, seconds, f"{self.name} has ended")

    def observed(self, generation: int, seconds: float = END) -> Object:
        """Return the first status whose observedGeneration is that of a changed spec."""

        def look() -> Object | None:
            status = self.status
            return status if status.get("observedGeneration") == generation else None

        return self._watch_recorder.wait(
            look, seconds, f"generation {generation} of {self.name} is observed"
        )

    def gone(self, seconds: float = END) -> None:
        """Wait until the TaskRun is deleted."""

        def look() -> bool | None:
            last = self._watch_recorder.last(self.uid)
            return True if last and last.gone else None

        self._watch_recorder.wait(look, seconds, f"TaskRun {self.name} is gone")

    def pods_gone(self, seconds: float = END) -> None:
        """Wait until all of the run's Pods are gone."""

        def look() -> bool | None:
            return True if all(history[-1].gone for history in self.pods()) else None

        self._watch_recorder.wait(look, seconds, f"the Pods of {self.name} are gone")

    def pod_seen(self, attempt: int = 1, seconds: float = END) -> Object:
        """Wait for the Pod of an attempt."""

        def look() -> Object | None:
            name = self.pod_name(attempt)
            uids = self._watch_recorder.named(PODS, self.namespace, name)
            last = self._watch_recorder.last(uids[-1]) if uids else None
            return last.found if last else None

        return self._watch_recorder.wait(
            look, seconds, f"{self.name} has the Pod of attempt {attempt}"
        )

    def main_started(self, attempt: int = 1, seconds: float = END) -> None:
        """Wait until the kubelet reports that main of an attempt runs or has run."""

        self._wait_for_pod(_main_started, attempt, seconds, "main has started")

    def preparing(self, attempt: int = 1, seconds: float = END) -> None:
        """Wait until an init container of an attempt runs."""
        self._wait_for_pod(_preparing, attempt, seconds, "an init container runs")

    def released(self, attempt: int = 1, seconds: float = END) -> None:
        """Wait until an attempt's Pod has lost our scheduling gate, which means it is claimed."""
        self._wait_for_pod(_released, attempt, seconds, "the Pod has been released")

    def deleting(self, attempt: int = 1, seconds: float = END) -> None:
        """Wait until an attempt's Pod has a deletionTimestamp."""
        self._wait_for_pod(_deleting, attempt, seconds, "the Pod is being deleted")

    def pod_ended(self, attempt: int = 1, seconds: float = END) -> None:
        """Wait until all containers of an attempt's Pod have ended."""
        self._wait_for_pod(_ended, attempt, seconds, "the Pod has ended")

    def pod_free(self, attempt: int = 1, seconds: float = END) -> None:
        """Wait until an attempt's Pod has no finalizer."""
        self._wait_for_pod(_free, attempt, seconds, "nothing holds the Pod")

    def _wait_for_pod(
        self, holds: Callable[[Object], bool], attempt: int, seconds: float, what: str
    ) -> None:
        name = self.pod_name(attempt)

        def look() -> bool | None:
            for uid in self._watch_recorder.named(PODS, self.namespace, name):
                last = self._watch_recorder.last(uid)
                if last and holds(last.found):
                    return True
            return None

        self._watch_recorder.wait(look, seconds, f"{self.name}, attempt {attempt}: {what}")

    # ------------------------------------------------------------------ changes

    def change(self, **spec: Any) -> None:
        self._kube.merge(RUNS, self.namespace, self.name, {"spec": spec})

    def cancel(self) -> None:
        self.change(cancel=True)

    def annotate(self, annotations: Mapping[str, str | None]) -> None:
        """Write annotations; None removes one."""
        patch = {"metadata": {"annotations": dict(annotations)}}
        self._kube.merge(RUNS, self.namespace, self.name, patch)

    def delete(self, propagation: str = "Background") -> None:
        options = {"preconditions": {"uid": self.uid}, "propagationPolicy": propagation}
        self._kube.delete(RUNS, self.namespace, self.name, options)


def _main_started(pod: Object) -> bool:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status["name"] == names.MAIN_CONTAINER:
            state = status.get("state") or {}
            return "running" in state or "terminated" in state
    return False


def _preparing(pod: Object) -> bool:
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or ()
    return any("running" in (status.get("state") or {}) for status in statuses)


def _released(pod: Object) -> bool:
    gates = pod["spec"].get("schedulingGates") or ()
    return all(gate["name"] != names.GATE_CLAIM for gate in gates)


def _ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _free(pod: Object) -> bool:
    return not pod["metadata"].get("finalizers")


def _deleting(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]
