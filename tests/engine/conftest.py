"""Fixtures that run each scenario in memory with simulated time, on a cluster and on Docker.

Scenarios that need a cluster (more than one container, several nodes, handmade Pods) are marked
`of_a_cluster`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.engine.docker_host import DockerLab
from tests.engine.lab import Lab
from tests.engine.reality import KubernetesLab
from tests.engine.simulation import MemoryLab
from tests.support.cluster.client import Kube
from tests.support.cluster.watch_recorder import Journal

DEFINITION = Path(__file__).parents[2] / "crds" / "taskruns.yaml"


@dataclass(frozen=True)
class Watched:
    """The real cluster, and the journal of all TaskRuns and Pods in it."""

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


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "of_a_cluster: a scenario that Docker has nothing for")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "lab" in metafunc.fixturenames:
        of_a_cluster = metafunc.definition.get_closest_marker("of_a_cluster") is not None
        labs = ["memory", "kubernetes"] + ([] if of_a_cluster else ["docker"])
        metafunc.parametrize("lab", labs, indirect=True)


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    if request.param == "memory":
        yield MemoryLab()
        return
    lab = _real_lab(request)
    lab.resume()
    yield lab
    lab.close()


@pytest.fixture
def host(docker_address: str, tmp_path: Path) -> Iterator[DockerLab]:
    """Provide a Docker host whose runs are followed, for tests of Docker alone."""
    lab = DockerLab(docker_address, tmp_path)
    lab.resume()
    yield lab
    lab.close()


def _real_lab(request: pytest.FixtureRequest) -> "KubernetesLab | DockerLab":
    if request.param == "docker":
        address: str = request.getfixturevalue("docker_address")
        return DockerLab(address, request.getfixturevalue("tmp_path"))
    watched: Watched = request.getfixturevalue("watched")
    return KubernetesLab(watched.kube, watched.journal, watched.kubeconfig)
