"""Fixtures that several test tiers share: helm, the test cluster, its observers, installations.

In CI (`CI=true`) a missing cluster fails the test. Elsewhere it skips the test with a message that
names the command to run. `--with-cluster`, as in `make test`, builds and starts what a test needs
at its first use. Engineers who share a machine choose their own cluster by name in
`TASKRUNS_TEST_CLUSTER`.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.cluster import Cluster, ClusterError, image, release
from tests.cluster.docker_engine import DockerEngine
from tests.cluster.progress import Progress
from tests.distribution import ClusterScheduling
from tests.support import documentation
from tests.support.absence import IN_CI, go_without
from tests.support.cluster import failure_report
from tests.support.cluster.client import Kube
from tests.support.cluster.definition import serve_definition
from tests.support.cluster.installation import (
    Helm,
    Installation,
    Manifest,
    Process,
    RecordedCluster,
    clear,
    is_deployed,
)
from tests.support.cluster.start_counter import StartCounter
from tests.support.cluster.watch_recorder import WatchRecorder
from tools import helm as helm_tool

_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
_NAME = os.environ.get("TASKRUNS_TEST_CLUSTER", "test") + (_WORKER if _WORKER != "0" else "")
_RELEASE = release.requested().replace(".", "-")
CLUSTER_NAME = f"{_NAME}-{_RELEASE}" if _RELEASE else _NAME
"""Name of this worker's cluster: "test", "test1", "test2" and so on. A cluster keeps its release of
Kubernetes, so with KUBERNETES=1.31.14 the names are "test-1-31-14" and so on."""

INSTALLATIONS = {kind.name: kind for kind in (Helm, Manifest, Process)}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--with-cluster",
        action="store_true",
        help="build and start the test cluster when a test first needs it",
    )
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write golden files anew, to be looked at as a diff",
    )
    parser.addoption(
        "--keep-installation",
        action="store_true",
        help="leave the chart's release in the cluster, and use the one of an earlier session",
    )


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Provide an empty home folder; tests must not write to it."""
    home = tmp_path_factory.mktemp("home")
    yield home
    assert list(home.rglob("*")) == []


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return ClusterScheduling(config, log)


@pytest.fixture
def documented(request: pytest.FixtureRequest) -> str:
    """Provide the commands that pages mark with the test, as one script."""
    return documentation.commands(request.node.nodeid.partition("[")[0])


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Provide the real Kubernetes cluster; outside CI it stays up for the next session."""
    cluster = Cluster(CLUSTER_NAME)
    started = not cluster.is_up()
    if started:
        with _expensive(request, f"test cluster {CLUSTER_NAME!r}"):
            cluster.up(progress=print)
    elif not (_keeps_installation(request) and _all_use_installation(request.session)):
        clear(cluster)
    yield cluster
    if started and IN_CI:
        cluster.down()


@pytest.fixture(scope="session")
def docker_address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Provide the address of a Docker daemon that has busybox:1 and serves this session only."""
    engine = DockerEngine.for_containers(CLUSTER_NAME)
    progress = Progress(print)
    with ExitStack() as stack:
        with _expensive(request, "Docker daemon for tests"):
            stack.enter_context(engine.running(progress))
            engine.load(image.BUSYBOX_IMAGE, image.busybox(progress), progress)
            # Containers of an earlier session may be left.
            if leftovers := engine.docker("ps", "--all", "--quiet").stdout.split():
                engine.docker("rm", "--force", *leftovers)
        yield engine.address


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest) -> Path:
    """Provide the helm binary that the test cluster is built with."""
    if not helm_tool.PROGRAM.exists():
        with _expensive(request, "helm"):
            helm_tool.build()
    return helm_tool.PROGRAM


@pytest.fixture(scope="session")
def kube(cluster: Cluster) -> Iterator[Kube]:
    kube = Kube(cluster.kubeconfig)
    yield kube
    kube.close()


@pytest.fixture(scope="session")
def watch_recorder(cluster: Cluster, kube: Kube) -> Iterator[WatchRecorder]:
    serve_definition(cluster)
    watch_recorder = WatchRecorder(kube)
    watch_recorder.start()
    yield watch_recorder
    watch_recorder.stop()


@pytest.fixture(scope="session")
def start_counter(
    cluster: Cluster, kube: Kube, watch_recorder: WatchRecorder
) -> Iterator[StartCounter]:
    start_counter = StartCounter(cluster, kube, watch_recorder)
    start_counter.open()
    yield start_counter
    start_counter.close()


@pytest.fixture(scope="session", params=["helm"])
def installation(
    request: pytest.FixtureRequest, cluster: Cluster, kube: Kube, watch_recorder: WatchRecorder
) -> Iterator[Installation]:
    """Provide an installation of taskruns: the chart, or the kind that a test names.

    pytest groups tests by this parameter, so each kind is installed once.
    """
    recorded_cluster = RecordedCluster(cluster, kube, watch_recorder)
    installation = INSTALLATIONS[request.param](recorded_cluster)
    keep = _keeps_installation(request) and isinstance(installation, Helm)
    try:
        try:
            if not (keep and is_deployed(cluster)):
                clear(cluster)
            installation.up()
        except (AssertionError, ClusterError) as error:
            pytest.fail(f"{installation.name}: {error}\n{installation.log_tail()}", pytrace=False)
        yield installation
        failure_report.await_namespaces_gone(kube, watch_recorder)
    finally:
        if not keep:
            installation.down()


def _keeps_installation(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--keep-installation"))


def _all_use_installation(session: pytest.Session) -> bool:
    """Return whether no test of the session needs a cluster without an installed controller."""
    fixtures = [item.fixturenames for item in session.items if isinstance(item, pytest.Function)]
    return all("installation" in names for names in fixtures if "cluster" in names)


@contextmanager
def _expensive(request: pytest.FixtureRequest, what: str) -> Iterator[None]:
    """Allow a step that takes minutes if `--with-cluster` is given and no test has failed yet.

    Otherwise skip or fail the test, or end the session. With several workers, the scheduler ends
    the session (`tests.distribution`). Output is shown while the step runs.
    """
    if not request.config.getoption("--with-cluster"):
        go_without(f"no {what}: `make cluster-up` makes it")
    if request.session.testsfailed and not hasattr(request.config, "workerinput"):
        pytest.exit(f"cheaper tests have failed: not making {what}", returncode=1)
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print()
        try:
            yield
        except ClusterError as error:
            go_without(f"no {what}: {error}")
