"""Runtime in memory: simulated time passes only while a scenario waits."""

from collections.abc import Callable
from typing import TypeVar

from typing_extensions import override

from tests.engine.runtime import SITE, Object, RecordedEvent, Runtime
from tests.engine.work import Work
from tests.simulation import Cluster, Kind, Script
from tests.support.simulation import Controller, Simulation

T = TypeVar("T")


class MemoryRuntime(Runtime):
    """Runtime with its own simulated cluster."""

    def __init__(self) -> None:
        self.namespace = "default"
        self._works: dict[str, Work] = {}
        self.simulation = Simulation(Cluster(self._script), SITE)
        self._blind: list[Controller] = []

    def _script(self, _pod: Object, container: Object) -> Script:
        env = {item["name"]: item.get("value", "") for item in container.get("env") or ()}
        work = self._works.get(str(container.get("command")))
        return work.script_of(int(env.get("TASKRUN_ATTEMPT", 1))) if work else Script()

    @override
    def command(self, work: Work) -> list[str]:
        self._works[str(work.command)] = work
        return work.command

    @override
    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        answers: list[T] = []

        def met() -> bool:
            for controller in self._blind:
                controller.unseen[Kind.POD].clear()
            answer = look()
            answers[:] = [] if answer is None else [answer]
            return bool(answers)

        self.simulation.until(met)
        assert answers, f"it never comes to that: {what}"
        return answers[0]

    @override
    def create_run(self, manifest: Object) -> Object:
        return self.simulation.cluster.create_run(manifest)

    @override
    def create_pod(self, manifest: Object) -> Object:
        return self.simulation.cluster.create_pod(manifest)

    @override
    def run(self, name: str) -> Object | None:
        return self.simulation.run(name)

    @override
    def pods(self) -> list[Object]:
        return self.simulation.pods()

    @override
    def events(self, run_uid: str) -> list[RecordedEvent]:
        correlator = self.simulation.cluster.correlator.all()
        matching = [(series, series.event) for series in correlator if series.run.uid == run_uid]
        return [
            RecordedEvent(
                event.reason, series.count, event.message, event.pod.uid if event.pod else ""
            )
            for series, event in matching
        ]

    @override
    def patch_run(self, name: str, patch: Object) -> None:
        self.simulation.cluster.patch(Kind.RUN, self.namespace, name, patch)

    @override
    def delete_run(self, name: str, *, foreground: bool = False) -> None:
        self.simulation.cluster.delete_run(self.namespace, name, foreground=foreground)

    @override
    def delete_pod(self, name: str) -> None:
        pod = self.simulation.cluster.store.get(Kind.POD, self.namespace, name)
        assert pod is not None
        self.simulation.cluster.delete_pod(pod)

    @override
    def pause(self) -> None:
        self.simulation.controllers.clear()

    @override
    def resume(self, *, blind_to_pods: bool = False) -> None:
        controller = Controller(self.simulation.cluster, SITE)
        if blind_to_pods:
            self._blind.append(controller)
        self.simulation.controllers.append(controller)
