"""What every tier shares: the one test cluster, and what becomes of tests when there is none.

In CI (`CI=true`) a missing cluster is a failure. On a laptop it is a skip that says what to do.
`--with-cluster`, as in `make test`, brings the cluster up when a test first needs it. Engineers
who share a machine choose their own cluster by name in `TASKRUNS_TEST_CLUSTER`.
"""

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from tests.cluster import Cluster

IN_CI = os.environ.get("CI") == "true"
CLUSTER_NAME = os.environ.get("TASKRUNS_TEST_CLUSTER", "test")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--with-cluster",
        action="store_true",
        help="bring the test cluster up when a test first needs it",
    )
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write golden files anew, to be looked at as a diff",
    )


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> "Cluster":
    """The real Kubernetes that tests run on; it stays up for the next run."""
    from tests.cluster import Cluster  # noqa: PLC0415 - while the test cluster is being written

    cluster = Cluster(CLUSTER_NAME)
    if cluster.is_up():
        return cluster
    if not request.config.getoption("--with-cluster"):
        _go_without(f"no test cluster {CLUSTER_NAME!r}: `make cluster-up` starts one")
    if request.session.testsfailed:
        pytest.exit("cheaper tests have failed: not starting the cluster", returncode=1)
    _bring_up(cluster, request.config)
    return cluster


def _bring_up(cluster: "Cluster", config: pytest.Config) -> None:
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print()
        try:
            cluster.up(progress=print)
        except RuntimeError as error:
            _go_without(f"the test cluster does not start: {error}")


def _go_without(why: str) -> NoReturn:
    if IN_CI:
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
