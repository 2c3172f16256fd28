"""Runs at every stage of their lives when an outage begins."""

from tests.cluster import Cluster
from tests.support.builders.lifecycle_points import BY_THE_CLOCK, NODE_LABEL, Standing, standings
from tests.support.cluster.client import NAMESPACES, PODS, Kube, Resource
from tests.support.cluster.namespace import Stage
from tests.support.cluster.run import Run

_QUOTAS = Resource("/api/v1", "resourcequotas")
_ROOM = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}}


def make_crowded(kube: Kube, name: str) -> None:
    """Create a namespace whose quota allows three Pods at a time."""
    kube.create(NAMESPACES, None, {"metadata": {"name": name}})
    kube.create(_QUOTAS, name, _ROOM)


class Crowd:
    """A hundred runs, or a share of them, by the stage at which an outage meets them."""

    def __init__(self, stage: Stage, crowded: str, seconds: float, share: float = 1) -> None:
        """Prepare the runs for an outage of `seconds`; `crowded` is a namespace for three Pods."""
        words = f"{stage.namespace}-during", f"{stage.namespace}-after"
        self.standings = standings(*words, int(seconds * 0.75), share)
        self.runs: dict[str, list[Run]] = {}
        self.life = ""
        """Identity of the controller process before the outage."""
        self._stage = stage
        self._crowded = crowded

    def take_their_places(self) -> None:
        """Create all runs, and wait until each is at its stage."""
        for names in ([n for n in self.standings if n not in BY_THE_CLOCK], BY_THE_CLOCK):
            for name in names:
                self.runs[name] = self._create(name, self.standings[name])
            for name in names:
                for run in self.runs[name]:
                    self.standings[name].stand(run)

    def _create(self, name: str, standing: Standing) -> list[Run]:
        namespace = self._crowded if name == "queued" else ""
        spec = standing.spec | self._stage.ledger.mount()
        return [self._stage.create(f"{name}-{n}", spec, namespace) for n in range(standing.runs)]

    def end_unseen(self) -> None:
        """Release the tasks that end while the apiserver is away."""
        self._stage.ledger.say(f"{self._stage.namespace}-during")

    def let_go(self, cluster: Cluster) -> None:
        """Remove everything that still blocks a run: words, node label, foreign gates."""
        self._stage.ledger.say(f"{self._stage.namespace}-after")
        cluster.kubectl("label", "node", cluster.node_name, f"{NODE_LABEL}=true")
        no_gates = {"spec": {"schedulingGates": None}}
        for run in self.runs["gated"]:
            self._stage.kube.merge(PODS, run.namespace, run.pod_name(), no_gates)
