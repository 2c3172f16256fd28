"""Fixtures that give a scenario its TaskRun and its controller, and reports of failures.

A test declares its run with `@pytest.mark.taskrun(spec)` and receives it as the fixture `run`. The
runs of a module are created together when its first test starts, and each test awaits its own: Pods
start while earlier tests still run, which saves most of a tier's time.

With `start_counter=True` the task may write to the start counter. With `prepare=function` the
controller is stopped while the run is created, and `function(run, scenario)` can place an obstacle
first. Every run is checked against `tests.support.cluster.invariants`, except where a test has
forged its status (`lawful=False`).
"""

import re
from collections.abc import Generator, Iterator

import pytest

from tests.support.builders.scenario_runs import create_limited_namespace
from tests.support.cluster import failure_report, invariants
from tests.support.cluster.client import NAMESPACES, Kube
from tests.support.cluster.installation import Installation, stopped
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import StartCounter
from tests.support.cluster.watch_recorder import WatchRecorder

_FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "taskrun(spec, start_counter=False, prepare=None, lawful=True): a scenario's TaskRun",
    )


@pytest.fixture(scope="module")
def namespace(
    request: pytest.FixtureRequest, installation: Installation, kube: Kube
) -> Iterator[str]:
    topic = request.path.stem.removeprefix("test_").replace("_", "-")
    prefix = f"e2e-{topic}-{installation.name}-"
    made = kube.create(NAMESPACES, None, {"metadata": {"generateName": prefix}})
    name: str = made["metadata"]["name"]
    yield name
    kube.delete(NAMESPACES, None, name)


@pytest.fixture(scope="module")
def limited_namespace(kube: Kube, namespace: str) -> Iterator[str]:
    """Provide a namespace whose quota allows three Pods at a time."""
    name = f"{namespace}-crowded"
    create_limited_namespace(kube, name)
    yield name
    kube.delete(NAMESPACES, None, name)


@pytest.fixture(scope="module")
def scenario(
    kube: Kube, watch_recorder: WatchRecorder, start_counter: StartCounter, namespace: str
) -> Scenario:
    return Scenario(kube, watch_recorder, start_counter, namespace)


@pytest.fixture(scope="module")
def submitted(
    request: pytest.FixtureRequest, installation: Installation, scenario: Scenario
) -> dict[str, Run]:
    """Provide the runs of this module's tests under this installation, by node id of the test."""
    items = [item for item in request.session.items if _wants_run(item, request.node, installation)]
    early = [item for item in items if _marker(item).kwargs.get("prepare")]
    runs: dict[str, Run] = {}
    if early:
        with stopped(installation):
            for item in early:
                runs[item.nodeid] = _submit(item, scenario)
                _marker(item).kwargs["prepare"](runs[item.nodeid], scenario)
    return runs | {item.nodeid: _submit(item, scenario) for item in items if item not in early}


@pytest.fixture
def run(request: pytest.FixtureRequest, submitted: dict[str, Run]) -> Iterator[Run]:
    """Provide the TaskRun that the test declares; check the invariants after a passed test."""
    run = submitted[request.node.nodeid]
    yield run
    lawful = _marker(request.node).kwargs.get("lawful", True)
    if lawful and not request.node.stash.get(_FAILED, False):
        invariants.check(run)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the run, its Pods and its Events to the report of a failure."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        item.stash[_FAILED] = True
        fixtures = item.funcargs
        if "watch_recorder" in fixtures or "run" in fixtures:
            failure_report.add_sections(report, fixtures)
    return report


def _wants_run(item: pytest.Item, module: pytest.Module, installation: Installation) -> bool:
    if not isinstance(item, pytest.Function) or item.getparent(pytest.Module) is not module:
        return False
    chosen = item.callspec.params.get("installation") if hasattr(item, "callspec") else None
    return chosen == installation.name and item.get_closest_marker("taskrun") is not None


def _marker(item: pytest.Item) -> pytest.Mark:
    marker = item.get_closest_marker("taskrun")
    assert marker is not None
    return marker


def _submit(item: pytest.Item, scenario: Scenario) -> Run:
    marker = _marker(item)
    spec = dict(marker.args[0])
    if marker.kwargs.get("start_counter"):
        spec |= scenario.start_counter.mount()
    return scenario.create(_name(item), spec)


def _name(item: pytest.Item) -> str:
    """Return a run's name made from the test's name, so that the cluster shows which it is."""
    words = re.sub(r"[^a-z0-9]+", "-", item.name.removeprefix("test_").lower())
    return words[:50].strip("-") + "-"
