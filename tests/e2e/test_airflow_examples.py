"""Every example DAG of the provider passes `dag.test()` on both Airflows.

The example of two operating systems runs on Docker too: the same file, with another connection.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.docker_engine import DockerEngine
from tests.cluster.progress import Progress
from tests.cluster.python_base import PythonBase
from tests.conftest import CLUSTER_NAME
from tests.support.cluster.installation import ROOT

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")
"""One way of installing is enough, because the provider is under test."""

EXAMPLES = ROOT / "provider/example_dags"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
ON_AIRFLOW_2 = ("decorated", "hello", "migrated")
"""Examples that run there: sync and deferred, with results."""

ISOLATED = "isolated"
SUITES = ("bookworm", "trixie")
DOCKER = "docker"
"""Airflow 3 again, with a connection to a Docker host."""

TRIALS = [
    *(("3", name) for name in NAMES),
    *(("2", name) for name in ON_AIRFLOW_2),
    (DOCKER, ISOLATED),
]
WITHIN = 900.0

TRY = """
import importlib, json, sys
sys.path.append(sys.argv[1])
for name in sys.argv[2:]:
    run = importlib.import_module(name).dag.test()
    found = run.get_task_instances()
    tasks = {each.task_id: str(each.state) for each in found}
    results = {each.task_id: each.xcom_pull(each.task_id) for each in found if each.map_index < 0}
    result = {"name": name, "state": str(run.state), "tasks": tasks, "results": results}
    print(json.dumps(result), flush=True)
"""


@pytest.fixture(scope="module")
def images(cluster: Cluster) -> None:
    """Load the images of the examples' containers into the cluster."""
    cluster.load_python("trixie")
    for suite in SUITES:
        cluster.load_debian("pandas", suite, ["python3-pandas"])


@pytest.fixture(scope="module")
def docker_host(docker_address: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Provide a connection to a Docker host that has the images too."""
    engine, progress = DockerEngine.for_containers(CLUSTER_NAME), Progress(print)
    for suite in SUITES:
        base = PythonBase(suite, "pandas", ("python3-pandas",))
        engine.load(base.tag, base.archive(progress), progress)
    state = str(tmp_path_factory.mktemp("runs"))
    return {"engine": "docker", "url": docker_address, "state_directory": state}


@pytest.fixture(scope="module")
def dag_test_results(
    images: None,  # noqa: ARG001  # Pods use them
    cluster: Cluster,
    docker_host: dict[str, Any],
    namespace: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[tuple[str, str], dict[str, Any]]]:
    """Provide the results of `dag.test()` for each example; all Airflows run in parallel."""
    connection = {"kube_config_path": str(cluster.kubeconfig), "namespace": namespace}
    homes = {kind: tmp_path_factory.mktemp(f"airflow-{kind}") for kind in ("3", "2", DOCKER)}
    started = [
        _start("3", NAMES, homes["3"], connection),
        _start("2", ON_AIRFLOW_2, homes["2"], connection),
        _start("3", [ISOLATED], homes[DOCKER], docker_host),
    ]
    try:
        for process in started:
            process.wait(WITHIN)
        yield {
            (version, result["name"]): result
            for version, home in homes.items()
            for result in _parse_results((home / "log").read_text())
        }
    finally:
        for process in started:
            process.kill()


@pytest.mark.parametrize(("version", "name"), TRIALS)
def test_an_example_passes_dag_test(
    version: str, name: str, dag_test_results: dict[tuple[str, str], dict[str, Any]]
) -> None:
    assert (version, name) in dag_test_results, (
        "it did not come to its end: see the log in its home"
    )
    result = dag_test_results[version, name]
    assert set(result["tasks"].values()) == {"success"}, result
    assert result["state"] == "success"


@pytest.mark.parametrize("place", ["3", DOCKER])
def test_two_tasks_have_their_own_os_python_and_pandas(
    place: str, dag_test_results: dict[tuple[str, str], dict[str, Any]]
) -> None:
    results = dag_test_results[place, ISOLATED]["results"]
    older, newer = results["older"], results["newer"]
    assert (older["os"], newer["os"]) == ("bookworm", "trixie")
    assert older["python"].startswith("3.11.")
    assert newer["python"].startswith("3.13.")
    assert older["pandas"].startswith("1.")
    assert newer["pandas"].startswith("2.")


def test_the_logs_of_all_containers_are_printed_once_init_containers_first(
    dag_test_results: dict[tuple[str, str], dict[str, Any]],
) -> None:
    each_once = {"[proxy] ready", "[main] 42 rows", "[proxy] leaving"}
    parts = re.findall(
        r"\[(?:fetch|proxy|main)\] [a-z0-9 ]+", dag_test_results["3", "accompanied"]["log"]
    )
    lines = [each.strip() for each in parts]  # Airflow aligns its output
    in_a_worker, deferred = lines[:4], lines[4:]
    for log in (in_a_worker, deferred):
        assert (log[0], sorted(log[1:])) == ("[fetch] fetching", sorted(each_once)), lines


def _parse_results(log: str) -> Iterator[dict[str, Any]]:
    """Yield the result of each example, with its log."""
    before: list[str] = []
    for line in re.sub(r"\x1b\[[0-9;]*m", "", log).splitlines():
        if line.startswith('{"name": '):
            yield {**json.loads(line), "log": "\n".join(before)}
            before = []
        else:
            before.append(line)


def _start(
    version: str, names: Sequence[str], home: Path, connection: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a process that runs examples one after another, with its own database."""
    python = ROOT / f".build/airflow-{version}/bin/python"
    assert python.exists(), f"no Airflow {version}: `make airflow` makes it"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "KUBE", "PYTHON"))}
    environment = {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        "AIRFLOW_CONN_TASKRUNS_DEFAULT": json.dumps({"conn_type": "taskruns", "extra": connection}),
    }
    script = '"$0" -m airflow db migrate && exec "$0" -W ignore -c "$@"'
    with (home / "log").open("w") as log:
        return subprocess.Popen(
            ["sh", "-c", script, str(python), TRY, str(EXAMPLES), *names],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=home,
        )
