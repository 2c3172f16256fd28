"""Runs at every stage of their lives, for an outage to find them there."""

from tests.cluster import Cluster
from tests.support.builders.lifecycle_points import BY_THE_CLOCK, NODE_LABEL, Standing, standings
from tests.support.cluster.client import NAMESPACES, PODS, Kube, Resource
from tests.support.cluster.namespace import Stage
from tests.support.cluster.run import Run

_QUOTAS = Resource("/api/v1", "resourcequotas")
_ROOM = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}}


def make_crowded(kube: Kube, name: str) -> None:
    """Make a namespace that has room for three Pods at a time."""
    kube.create(NAMESPACES, None, {"metadata": {"name": name}})
    kube.create(_QUOTAS, name, _ROOM)


class Crowd:
    """A hundred runs, or a share of them, by the stage at which an outage finds them."""

    def __init__(self, stage: Stage, crowded: str, seconds: float, share: float = 1) -> None:
        """Let them be for an outage of so many seconds; `crowded` has room for three Pods."""
        words = f"{stage.namespace}-during", f"{stage.namespace}-after"
        self.standings = standings(*words, int(seconds * 0.75), share)
        self.runs: dict[str, list[Run]] = {}
        self.life = ""
        """The controller's life before the outage."""
        self._stage = stage
        self._crowded = crowded

    def take_their_places(self) -> None:
        """Create them all, and wait until each is at its stage."""
        for names in ([n for n in self.standings if n not in BY_THE_CLOCK], BY_THE_CLOCK):
            for name in names:
                self.runs[name] = self._create(name, self.standings[name])
            for name in names:
                for run in self.runs[name]:
                    self.standings[name].stand(run)

    def _create(self, name: str, standing: Standing) -> list[Run]:
        where = self._crowded if name == "queued" else ""
        spec = standing.spec | self._stage.ledger.mount()
        return [self._stage.create(f"{name}-{n}", spec, where) for n in range(standing.runs)]

    def end_unseen(self) -> None:
        """Let those end that are to end while the apiserver is away."""
        self._stage.ledger.say(f"{self._stage.namespace}-during")

    def let_go(self, cluster: Cluster) -> None:
        """Take away everything that still holds them up."""
        self._stage.ledger.say(f"{self._stage.namespace}-after")
        cluster.kubectl("label", "node", cluster.node_name, f"{NODE_LABEL}=true")
        no_gates = {"spec": {"schedulingGates": None}}
        for run in self.runs["gated"]:
            self._stage.kube.merge(PODS, run.namespace, run.pod_name(), no_gates)
