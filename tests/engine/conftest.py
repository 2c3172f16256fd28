"""Each scenario runs twice: in memory, where time is simulated, and on the real cluster."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.engine.lab import Lab
from tests.engine.reality import KubernetesLab
from tests.engine.simulation import MemoryLab
from tests.support.cluster_client import Kube
from tests.support.journal import Journal

DEFINITION = Path(__file__).parents[2] / "crds" / "taskruns.yaml"


@dataclass(frozen=True)
class Watched:
    """The real cluster, and the journal of everything on it."""

    kube: Kube
    journal: Journal
    kubeconfig: Path


@pytest.fixture(scope="session")
def watched(cluster: Cluster) -> Iterator[Watched]:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(DEFINITION))
    kube = Kube(cluster.kubeconfig)
    journal = Journal(kube)
    journal.start()
    yield Watched(kube, journal, cluster.kubeconfig)
    journal.stop()
    kube.close()


@pytest.fixture(params=["memory", "kubernetes"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    if request.param == "memory":
        yield MemoryLab()
        return
    watched: Watched = request.getfixturevalue("watched")
    lab = KubernetesLab(watched.kube, watched.journal, watched.kubeconfig)
    lab.resume()
    yield lab
    lab.close()
