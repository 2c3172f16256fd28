"""Interface between scenarios and runtimes (`Runtime`), and handle of one TaskRun (`Task`)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.core.defaults import SiteDefaults
from tests.engine.work import IMAGE, Work

T = TypeVar("T")
Object = Mapping[str, Any]


@dataclass(frozen=True)
class RecordedEvent:
    """Event about a TaskRun, reduced to the fields that scenarios compare."""

    reason: str
    count: int
    message: str
    pod: str
    """Uid of the related Pod, or ""."""


SITE = SiteDefaults()


class Runtime(ABC):
    """Namespace of a runtime in which one controller is active."""

    namespace: str

    def start(self, work: Work, name: str = "hello", **spec: Any) -> "Task":
        """Create a TaskRun; keyword arguments are additional fields of its spec."""
        return Task(self.create_run(self.manifest(work, name, **spec)), self)

    def manifest(self, work: Work, name: str = "hello", **spec: Any) -> Object:
        return {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "command": self.command(work),
                "podGC": {"deleteDelayDuration": "0s"},
                **spec,
            },
        }

    def command(self, work: Work) -> list[str]:
        """Return the command of a container that does some work."""
        return work.command

    def container(self, name: str, work: Work) -> Object:
        """Return a container in addition to main."""
        return {"name": name, "image": IMAGE, "command": self.command(work)}

    def hand_made_pod(self, name: str, **metadata: Any) -> Object:
        """Return the manifest of a Pod without our labels, gate and finalizer."""
        container = {"name": "main", "image": IMAGE, "command": ["sh", "-c", "exit 0"]}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, **metadata},
            "spec": {"restartPolicy": "Never", "containers": [container]},
        }

    @abstractmethod
    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        """Wait until `look` returns a value other than None; return that value.

        Args:
            what: Awaited state, for the error message.
            look: Returns the awaited value, or None.
        """

    @abstractmethod
    def create_run(self, manifest: Object) -> Object: ...

    @abstractmethod
    def create_pod(self, manifest: Object) -> Object: ...

    @abstractmethod
    def run(self, name: str) -> Object | None:
        """Return the current TaskRun of a name, or None."""

    @abstractmethod
    def pods(self) -> list[Object]:
        """Return all existing Pods."""

    @abstractmethod
    def events(self, run_uid: str) -> list[RecordedEvent]:
        """Return the Events about a TaskRun, in the order of their first occurrence."""

    @abstractmethod
    def patch_run(self, name: str, patch: Object) -> None: ...

    @abstractmethod
    def delete_run(self, name: str, *, foreground: bool = False) -> None: ...

    @abstractmethod
    def delete_pod(self, name: str) -> None: ...

    @abstractmethod
    def pause(self) -> None:
        """Kill all controllers."""

    @abstractmethod
    def resume(self, *, blind_to_pods: bool = False) -> None:
        """Start another controller; with `blind_to_pods` its watch of Pods is broken."""


class Task:
    """Handle of one TaskRun."""

    def __init__(self, created: Object, runtime: Runtime) -> None:
        self._runtime = runtime
        self.name: str = created["metadata"]["name"]
        self.uid: str = created["metadata"]["uid"]

    @property
    def run(self) -> Object | None:
        """The current TaskRun; None if it is gone."""
        run = self._runtime.run(self.name)
        return run if run is not None and run["metadata"]["uid"] == self.uid else None

    @property
    def status(self) -> Any:
        return (self.run or {}).get("status") or {}

    @property
    def pods(self) -> list[Object]:
        """The existing Pods of the TaskRun."""
        return [
            pod for pod in self._runtime.pods() if self.uid in str(pod["metadata"].get("labels"))
        ]

    def ended(self) -> Any:
        """Wait until the TaskRun has ended; return its status."""

        def look() -> Any:
            return self.status if self.status.get("phase") in TERMINAL_PHASES else None

        return self._runtime.wait(f"{self.name} ends", look)

    def reaches(self, phase: str) -> Any:
        """Wait until the TaskRun is in a phase that it does not leave soon; return its status."""

        def look() -> Any:
            return self.status if self.status.get("phase") == phase else None

        return self._runtime.wait(f"{self.name} is {phase}", look)

    def events_until(self, last: str) -> list[RecordedEvent]:
        """Wait for an Event with the reason `last`; return all Events so far, in order."""

        def look() -> list[RecordedEvent] | None:
            events = self._runtime.events(self.uid)
            return events if last in [event.reason for event in events] else None

        return self._runtime.wait(f"{self.name} has the Event {last}", look)

    def main_runs(self) -> Object:
        """Wait until main runs in a Pod of the TaskRun; return the Pod."""

        def look() -> Object | None:
            return next((pod for pod in self.pods if _main_state(pod, "running")), None)

        return self._runtime.wait(f"main of {self.name} runs", look)

    def has_pod(self) -> Object:
        return self._runtime.wait(f"{self.name} has a Pod", lambda: next(iter(self.pods), None))

    def pods_gone(self) -> None:
        self._runtime.wait(f"Pods of {self.name} go", lambda: None if self.pods else True)

    def gone(self) -> None:
        self._runtime.wait(f"{self.name} is deleted", lambda: True if self.run is None else None)

    def cancel(self) -> None:
        self._runtime.patch_run(self.name, {"spec": {"cancel": True}})

    def suspend(self, *, wanted: bool = True) -> None:
        self._runtime.patch_run(self.name, {"spec": {"suspend": wanted}})

    def collect(self) -> None:
        """Mark the last Pod as collected."""
        annotations = {names.ANNOTATION_COLLECTED: self.status["podUID"]}
        self._runtime.patch_run(self.name, {"metadata": {"annotations": annotations}})

    def delete(self, *, foreground: bool = False) -> None:
        self._runtime.delete_run(self.name, foreground=foreground)

    def hold(self, *, wanted: bool = True) -> None:
        """Add another client's finalizer to the TaskRun, or remove it."""
        finalizers = ["example.test/hold"] if wanted else None
        self._runtime.patch_run(self.name, {"metadata": {"finalizers": finalizers}})

    @property
    def generation(self) -> int:
        return int((self.run or {})["metadata"]["generation"])

    def observed(self) -> Any:
        """Wait until the status is about the current generation; return the status."""

        def look() -> Any:
            status = self.status
            return status if status.get("observedGeneration") == self.generation else None

        return self._runtime.wait(f"{self.name} is observed", look)


def summarize(status: Any) -> tuple[Any, ...]:
    """Return phase, reason, exit code and the outcomes of the attempts, for comparison."""
    outcomes = [attempt["outcome"] for attempt in status.get("attempts") or ()]
    return status["phase"], status["reason"], status.get("exitCode"), outcomes


def _main_state(pod: Object, state: str) -> bool:
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(c["name"] == "main" and state in (c.get("state") or {}) for c in containers)
