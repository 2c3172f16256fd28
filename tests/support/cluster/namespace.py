"""What a scenario works with: one namespace of a cluster that a controller looks after."""

from dataclasses import dataclass

from tests.support.builders.manifests import task_run
from tests.support.cluster.client import RUNS, Kube, Object
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import Ledger
from tests.support.cluster.watch_recorder import Journal


@dataclass(frozen=True, slots=True)
class Stage:
    """The client, the journal and the ledger of a session, and a namespace of its own."""

    kube: Kube
    journal: Journal
    ledger: Ledger
    namespace: str

    def create(
        self, name: str, spec: Object, namespace: str = "", labels: Object | None = None
    ) -> Run:
        """Create a TaskRun, here or in another namespace."""
        where = namespace or self.namespace
        manifest = task_run(name, where, spec)
        manifest["metadata"]["labels"] = labels or {}
        created = self.kube.create(RUNS, where, manifest)
        return Run(created, self.kube, self.journal)
