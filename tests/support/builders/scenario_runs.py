"""Runs at every stage of their lives when an outage begins."""

from tests.cluster import Cluster
from tests.support.builders.lifecycle_points import (
    BY_THE_CLOCK,
    NODE_LABEL,
    LifecyclePoint,
    lifecycle_points,
)
from tests.support.cluster.client import NAMESPACES, PODS, Kube, Resource
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario

_QUOTAS = Resource("/api/v1", "resourcequotas")
_ROOM = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}}


def create_limited_namespace(kube: Kube, name: str) -> None:
    """Create a namespace whose quota allows three Pods at a time."""
    kube.create(NAMESPACES, None, {"metadata": {"name": name}})
    kube.create(_QUOTAS, name, _ROOM)


class ScenarioRuns:
    """A hundred runs, or a share of them, by the stage at which an outage meets them."""

    def __init__(
        self, scenario: Scenario, limited_namespace: str, seconds: float, share: float = 1
    ) -> None:
        """Prepare the runs for an outage of `seconds`; the other namespace has room for 3 Pods."""
        words = f"{scenario.namespace}-during", f"{scenario.namespace}-after"
        self.lifecycle_points = lifecycle_points(*words, int(seconds * 0.75), share)
        self.runs: dict[str, list[Run]] = {}
        self.process_identity = ""
        """Identity of the controller process before the outage."""
        self._scenario = scenario
        self._limited_namespace = limited_namespace

    def reach_points(self) -> None:
        """Create all runs, and wait until each is at its stage."""
        for names in ([n for n in self.lifecycle_points if n not in BY_THE_CLOCK], BY_THE_CLOCK):
            for name in names:
                self.runs[name] = self._create(name, self.lifecycle_points[name])
            for name in names:
                for run in self.runs[name]:
                    self.lifecycle_points[name].reach(run)

    def _create(self, name: str, point: LifecyclePoint) -> list[Run]:
        namespace = self._limited_namespace if name == "queued" else ""
        spec = point.spec | self._scenario.start_counter.mount()
        return [self._scenario.create(f"{name}-{n}", spec, namespace) for n in range(point.runs)]

    def end_unseen(self) -> None:
        """Release the tasks that end while the apiserver is away."""
        self._scenario.start_counter.say(f"{self._scenario.namespace}-during")

    def release(self, cluster: Cluster) -> None:
        """Remove everything that still blocks a run: words, node label, foreign gates."""
        self._scenario.start_counter.say(f"{self._scenario.namespace}-after")
        cluster.kubectl("label", "node", cluster.node_name, f"{NODE_LABEL}=true")
        no_gates = {"spec": {"schedulingGates": None}}
        for run in self.runs["gated"]:
            self._scenario.kube.merge(PODS, run.namespace, run.pod_name(), no_gates)
