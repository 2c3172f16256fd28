"""The namespace of a scenario, with the tools to create and observe runs in it."""

from dataclasses import dataclass

from tests.support.builders.manifests import task_run
from tests.support.cluster.client import RUNS, Kube, Object
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import StartCounter
from tests.support.cluster.watch_recorder import WatchRecorder


@dataclass(frozen=True, slots=True)
class Scenario:
    """A namespace, with the session's client, watch recorder and start counter."""

    kube: Kube
    watch_recorder: WatchRecorder
    start_counter: StartCounter
    namespace: str

    def create(
        self, name: str, spec: Object, namespace: str = "", labels: Object | None = None
    ) -> Run:
        """Create a TaskRun in this namespace or in another one."""
        target = namespace or self.namespace
        manifest = task_run(name, target, spec)
        manifest["metadata"]["labels"] = labels or {}
        created = self.kube.create(RUNS, target, manifest)
        return Run(created, self.kube, self.watch_recorder)
