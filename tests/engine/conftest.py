"""Fixtures that run each scenario in memory with simulated time, on a cluster and on Docker.

Scenarios that need a cluster (more than one container, several nodes, handmade Pods) are marked
`of_a_cluster`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.engine.docker_runtime import DockerRuntime
from tests.engine.kubernetes_runtime import KubernetesRuntime
from tests.engine.memory_runtime import MemoryRuntime
from tests.engine.runtime import Runtime
from tests.support.cluster.client import Kube
from tests.support.cluster.definition import serve_definition
from tests.support.cluster.watch_recorder import WatchRecorder


@dataclass(frozen=True)
class RecordedCluster:
    """The real cluster, and the recorder of all TaskRuns and Pods in it."""

    kube: Kube
    watch_recorder: WatchRecorder
    kubeconfig: Path


@pytest.fixture(scope="session")
def recorded_cluster(cluster: Cluster) -> Iterator[RecordedCluster]:
    serve_definition(cluster)
    kube = Kube(cluster.kubeconfig)
    watch_recorder = WatchRecorder(kube)
    watch_recorder.start()
    yield RecordedCluster(kube, watch_recorder, cluster.kubeconfig)
    watch_recorder.stop()
    kube.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "of_a_cluster: a scenario that Docker has nothing for")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "runtime" in metafunc.fixturenames:
        of_a_cluster = metafunc.definition.get_closest_marker("of_a_cluster") is not None
        labs = ["memory", "kubernetes"] + ([] if of_a_cluster else ["docker"])
        metafunc.parametrize("runtime", labs, indirect=True)


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    if request.param == "memory":
        yield MemoryRuntime()
        return
    runtime = _real_runtime(request)
    runtime.resume()
    yield runtime
    runtime.close()


@pytest.fixture
def host(docker_address: str, tmp_path: Path) -> Iterator[DockerRuntime]:
    """Provide a Docker host whose runs are followed, for tests of Docker alone."""
    runtime = DockerRuntime(docker_address, tmp_path)
    runtime.resume()
    yield runtime
    runtime.close()


def _real_runtime(request: pytest.FixtureRequest) -> "KubernetesRuntime | DockerRuntime":
    if request.param == "docker":
        address: str = request.getfixturevalue("docker_address")
        return DockerRuntime(address, request.getfixturevalue("tmp_path"))
    recorded_cluster: RecordedCluster = request.getfixturevalue("recorded_cluster")
    return KubernetesRuntime(
        recorded_cluster.kube, recorded_cluster.watch_recorder, recorded_cluster.kubeconfig
    )
