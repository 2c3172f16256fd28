"""Fixtures that give a scenario its task in a real Airflow, and reports of failures.

A test declares its task with `@pytest.mark.task(script, **arguments)` and receives it as the
fixture `task`. `script` is a line of shell for busybox; a command that counts the start runs before
it. `arguments` are those of TaskRunOperator (times in seconds), and these of our own:

- `modes`: `BOTH` (default) makes two tests, one with `deferrable`; or `SYNC`, or `DEFERRED`.
- `mapped`: arguments to expand over.
- `at_once`: how many of them may be in workers at the same time.
- `patience`: the longest time that the task is deferred, in seconds.
- `later`: the test starts the DAG run itself, with `task.start()`.

Each task becomes a DAG of its own. Airflow starts once for all modules. The DAG runs of a module
start together when its first test starts, and each test awaits its own. `Task` has the methods to
observe and control a task (tests/support/airflow/task.py); `airflow` starts and kills Airflow's
components (tests/support/airflow/processes.py).

A test with its own DAG puts it into tests/airflow/dags (provider/example_dags is loaded too), uses
the fixtures `airflow` and `observers`, and continues with

    airflow.rest.trigger("my_dag", "a-run")
    task = Task(airflow, observers, "my_dag", "a-run", "my_task")
    task.succeeds()
    assert task.counted().created == 1
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.support.absence import go_without
from tests.support.airflow.processes import PARTS, PROGRAM, Airflow
from tests.support.airflow.task import BOTH, Observers, Task
from tests.support.builders.manifests import IMAGE
from tests.support.cluster import failure_report
from tests.support.cluster.client import NAMESPACES, Kube
from tests.support.cluster.installation import ROOT, Installation, helm
from tests.support.cluster.service_account import account, kubeconfig_of
from tests.support.cluster.start_counter import START, StartCounter
from tests.support.cluster.watch_recorder import WatchRecorder
from tests.support.faults.fault_proxy import FaultProxy
from tests.support.faults.faulty_creates import FAULT_PROXY, FaultyCreates
from tests.support.faults.full_namespace import FULL, fill

ROLE = "taskruns-client"
OUR_OWN = ("modes", "mapped", "at_once", "patience", "later")
_RUN = "scenario"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "task(script, modes=BOTH, mapped=None, at_once=16, patience=None, later=False, "
        "**arguments): a test's Airflow task",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Use one kind of installation, and run a task in each of its modes."""
    if "installation" in metafunc.fixturenames:
        chosen = pytest.mark.parametrize(
            "installation", ["process"], indirect=True, scope="session"
        )
        metafunc.definition.add_marker(chosen)
    marker = metafunc.definition.get_closest_marker("task")
    if marker is not None:
        metafunc.parametrize("mode", marker.kwargs.get("modes", BOTH), indirect=True)


@pytest.fixture(scope="session")
def namespace(
    installation: Installation,  # noqa: ARG001  # it must exist before and outlive the namespace
    kube: Kube,
) -> Iterator[str]:
    """Provide the namespace of Airflow's tasks."""
    made = kube.create(NAMESPACES, None, {"metadata": {"generateName": "airflow-"}})
    name: str = made["metadata"]["name"]
    yield name
    kube.delete(NAMESPACES, None, name)


@pytest.fixture(scope="session")
def full(
    installation: Installation,  # noqa: ARG001  # as above
    cluster: Cluster,
    kube: Kube,
) -> Iterator[str]:
    """Provide another namespace for tasks, whose quota of one Pod is used up."""
    made = kube.create(NAMESPACES, None, {"metadata": {"generateName": "airflow-full-"}})
    name: str = made["metadata"]["name"]
    fill(cluster, kube, name)
    yield name
    kube.delete(NAMESPACES, None, name)


@pytest.fixture(scope="session")
def client_kubeconfig(
    cluster: Cluster, namespace: str, full: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Provide the kubeconfig of a service account that has only the chart's role for clients."""
    chart = ROOT / "charts/taskruns"
    roles = helm(
        cluster, "template", "taskruns", str(chart), "--show-only", "templates/clusterroles.yaml"
    )
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=roles)
    account(cluster, namespace, "airflow", ROLE, elsewhere=(full,))
    folder = tmp_path_factory.mktemp("identity")
    yield kubeconfig_of(cluster, namespace, "airflow", folder)
    cluster.kubectl("delete", "-f", "-", stdin=roles)


@pytest.fixture(scope="session")
def docker_host(docker_address: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Provide the content of the connection `docker`: a daemon and a state directory."""
    state = tmp_path_factory.mktemp("runs")
    return {"engine": "docker", "url": docker_address, "state_directory": str(state)}


@pytest.fixture(scope="session")
def creates() -> FaultyCreates:
    """Provide the faults of creates through the proxy."""
    return FaultyCreates()


@pytest.fixture(scope="session")
def fault_proxy(client_kubeconfig: Path, creates: FaultyCreates) -> Iterator[FaultProxy]:
    """Provide the proxy for tasks whose connection is `fault-proxy`, with the same rights."""
    with FaultProxy(client_kubeconfig) as fault_proxy:
        fault_proxy.choose_fault = creates
        yield fault_proxy


@pytest.fixture(scope="session")
def connections(
    request: pytest.FixtureRequest,
    client_kubeconfig: Path,
    namespace: str,
    full: str,
    fault_proxy: FaultProxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Mapping[str, str]]:
    """Provide Airflow's connections, by id."""
    direct, proxied = (
        client_kubeconfig,
        fault_proxy.kubeconfig(tmp_path_factory.mktemp("fault-proxy")),
    )
    connections_by_id: dict[str, Mapping[str, str]] = {
        "taskruns_default": {"kube_config_path": str(direct), "namespace": namespace},
        FULL: {"kube_config_path": str(direct), "namespace": full},
        FAULT_PROXY: {"kube_config_path": str(proxied), "namespace": namespace},
    }
    if any("docker_host" in _fixtures(item) for item in request.session.items):
        connections_by_id["docker"] = request.getfixturevalue("docker_host")
    return connections_by_id


@pytest.fixture(scope="session")
def airflow(
    request: pytest.FixtureRequest,
    connections: dict[str, Mapping[str, str]],
    start_counter: StartCounter,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Airflow]:
    """Provide a whole Airflow that knows the DAG of every collected test."""
    if not PROGRAM.exists():
        go_without("no Airflow: `make airflow` makes it")
    scenarios = [_scenario(item, start_counter) for item in request.session.items if _marker(item)]
    airflow = Airflow(tmp_path_factory.mktemp("airflow"), connections)
    try:
        airflow.up(scenarios)
        yield airflow
    finally:
        airflow.down()


@pytest.fixture(scope="session")
def observers(
    kube: Kube,
    watch_recorder: WatchRecorder,
    start_counter: StartCounter,
    namespace: str,
    full: str,
) -> Observers:
    return Observers(kube, watch_recorder, start_counter, {namespace, full})


@pytest.fixture(scope="module")
def started(
    request: pytest.FixtureRequest, airflow: Airflow, observers: Observers
) -> dict[str, Task]:
    """Provide the tasks of this module's tests, by node id of the test."""
    items = [
        item
        for item in request.session.items
        if _marker(item) and item.getparent(pytest.Module) is request.node
    ]
    for item in items:
        if (marker := _marker(item)) and not marker.kwargs.get("later"):
            airflow.rest.trigger(_dag_id(item), _RUN)
    return {item.nodeid: Task(airflow, observers, _dag_id(item), _RUN) for item in items}


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> str:
    """Return the mode in which the task waits: in a worker (`sync`), or `deferred`."""
    mode: str = request.param
    return mode


@pytest.fixture
def task(request: pytest.FixtureRequest, mode: str, started: dict[str, Task]) -> Task:
    """Return the task that the test declares."""
    del mode  # requested only for its parametrization
    return started[request.node.nodeid]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the task's runs and Airflow's logs to the report of a failure."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        task, kube = item.funcargs.get("task"), item.funcargs.get("kube")
        for run in task.runs() if isinstance(task, Task) else ():
            failure_report.add_sections(report, {"run": run, "kube": kube})
        airflow = item.funcargs.get("airflow")
        if isinstance(airflow, Airflow):
            logs = [(f"Airflow's {part}", airflow.log_tail(part)) for part in PARTS]
            report.sections += logs
    return report


def _marker(item: pytest.Item) -> pytest.Mark | None:
    return item.get_closest_marker("task")


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


def _dag_id(item: pytest.Item) -> str:
    """Return a DAG id made from the test's name, so that Airflow's pages show which test it is."""
    module = item.path.stem.removeprefix("test_")
    words = f"{module}_{item.name.removeprefix('test_').replace('process-', '')}"
    return re.sub(r"[^a-z0-9]+", "_", words.lower())[-60:].strip("_")


def _scenario(item: pytest.Item, start_counter: StartCounter) -> dict[str, Any]:
    marker = _marker(item)
    assert marker is not None
    assert isinstance(item, pytest.Function)
    own = {k: v for k, v in marker.kwargs.items() if k not in OUR_OWN}
    mapped = marker.kwargs.get("mapped") or {}
    arguments = {
        "image": IMAGE,
        **shell(marker.args),
        **_mount(start_counter),
        "deferrable": item.callspec.params["mode"] == "deferred",
        "defer_after": 0,
        **own,
    }
    partial = {k: v for k, v in arguments.items() if k not in mapped}
    return {
        "dag_id": _dag_id(item),
        "arguments": partial,
        "mapped": mapped,
        "at_once": marker.kwargs.get("at_once", 16),
        "patience": marker.kwargs.get("patience"),
    }


def shell(scripts: Sequence[str]) -> dict[str, Any]:
    """Return a script as arguments of the operator, after a command that counts the start."""
    return {"command": ["sh", "-c"], "arguments": [f"{START}; {script}" for script in scripts]}


def _mount(start_counter: StartCounter) -> dict[str, Any]:
    mount = start_counter.mount()
    return {"volumes": mount["volumes"], "volume_mounts": mount["volumeMounts"]}
