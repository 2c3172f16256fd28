"""The commands of docs/airflow.md give Airflow exactly the access that it needs.

The commands run as the page shows them. The service accounts have the names of Airflow's own chart;
the chart itself is not used.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster import Cluster
from tests.support import documentation
from tests.support.builders.manifests import IMAGE, shell, task_run
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, Object, Resource
from tests.support.cluster.installation import NAMESPACE as RELEASE
from tests.support.cluster.installation import ROOT, helm
from tests.support.cluster.service_account import as_account

pytestmark = pytest.mark.parametrize("installation", ["helm"], indirect=True, scope="session")

PAGE = (ROOT / "docs/airflow.md").read_text()
TASKS, AIRFLOW = "jobs", "airflow"
"""The namespaces of that page."""

WORKER, TRIGGERER = "airflow-worker", "airflow-triggerer"
PYTHON = ROOT / ".build/airflow-3/bin/python"
OF_THE_NODE = {"/usr", "/lib", "/lib64", str(PYTHON.resolve().parents[1]), str(ROOT)}
"""Host paths that a Pod without an Airflow image needs to run the tests' Airflow."""

LOOK = """
import asyncio
from taskruns_airflow.hook import TaskRunHook
async def look():
    hook = TaskRunHook()
    namespace = await hook.namespace()
    async with hook.api(namespace) as api:
        print("found", len(await api.find("any", "label")), "in", namespace)
asyncio.run(look())
"""
SECRETS = Resource("/api/v1", "secrets")
OK, CREATED, FORBIDDEN = 200, 201, 403


def _section(heading: str) -> str:
    match = re.search(rf"^{heading}$(.*?)^##", PAGE, re.MULTILINE | re.DOTALL)
    assert match, heading
    return match[1]


def _blocks(language: str, section: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def _as_administrator(script: str, cluster: Cluster, folder: Path) -> str:
    """Run commands as the cluster's administrator; return their output."""
    path = f"{cluster.bin_dir}:{os.environ['PATH']}"
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig), "PATH": path}
    return documentation.typed(script, environment, folder)


def _has_the_role_of_a_client_and_no_more(client: Kube) -> None:
    dry, run = {"dryRun": "All"}, task_run("asked-", TASKS, shell("exit 0"))
    codes = {
        "create a run": client.code("POST", RUNS.path(TASKS), dry, run),
        "list runs": client.code("GET", RUNS.path(TASKS)),
        "list Pods": client.code("GET", PODS.path(TASKS)),
        "create a Pod": client.code("POST", PODS.path(TASKS), dry, {}),
        "list Secrets": client.code("GET", SECRETS.path(TASKS)),
        "list runs elsewhere": client.code("GET", RUNS.path(AIRFLOW)),
    }
    may = {"create a run": CREATED, "list runs": OK}
    assert codes == {request: may.get(request, FORBIDDEN) for request in codes}


@pytest.fixture(scope="module")
def namespaces(
    installation: None,  # noqa: ARG001  # the page changes its release
    cluster: Cluster,
    kube: Kube,
) -> Iterator[None]:
    """Create the namespaces of the page with its commands."""
    cluster.kubectl("delete", "namespace", TASKS, AIRFLOW, "--ignore-not-found", within=120)
    make = documentation.commands("tests/e2e/test_airflow_setup.py::namespaces")
    _as_administrator(make, cluster, ROOT)
    kube.create(NAMESPACES, None, {"metadata": {"name": AIRFLOW}})
    for name in (WORKER, TRIGGERER):
        cluster.kubectl("create", "serviceaccount", name, "--namespace", AIRFLOW)
    yield
    for each in (TASKS, AIRFLOW):
        kube.delete(NAMESPACES, None, each)


@pytest.fixture(scope="module")
def bound(
    cluster: Cluster,
    namespaces: None,  # noqa: ARG001  # the bindings are in one of them
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Upgrade the release with the bindings of the page, and remove them afterwards."""
    folder = tmp_path_factory.mktemp("admin")
    section = _section("### Airflow in the cluster")
    (values,) = (block for block in _blocks("yaml", section) if "values-taskruns" in block)
    upgrade = documentation.commands("tests/e2e/test_airflow_setup.py::bound")
    (folder / "values-taskruns.yaml").write_text(values)
    (folder / "charts").symlink_to(ROOT / "charts")
    _as_administrator(upgrade, cluster, folder)
    yield
    chart = ("taskruns", str(ROOT / "charts/taskruns"), "--namespace", RELEASE)
    without = ("--set-json", "roles.client.bindings=[]")
    helm(cluster, "upgrade", *chart, "--reset-then-reuse-values", *without)


@pytest.mark.usefixtures("bound")
def test_in_the_cluster_workers_and_triggerer_get_the_role_of_a_client(
    cluster: Cluster, tmp_path: Path
) -> None:
    for name in (WORKER, TRIGGERER):
        client = as_account(cluster, AIRFLOW, name, tmp_path)
        _has_the_role_of_a_client_and_no_more(client)
        client.close()


@pytest.mark.usefixtures("bound")
def test_in_the_cluster_a_worker_connects_with_its_token_alone(
    cluster: Cluster, kube: Kube
) -> None:
    assert PYTHON.exists(), "no Airflow 3: `make airflow` makes it"
    kube.create(PODS, AIRFLOW, _worker())
    ended = "--for=jsonpath={.status.phase}=Succeeded"
    waited = ("wait", ended, "pod/worker", "--namespace", AIRFLOW, "--timeout=180s")
    succeeded = cluster.kubectl(*waited, within=200, check=False).returncode == 0
    log = kube.log(AIRFLOW, "worker")
    assert succeeded, log
    assert log.splitlines()[-1] == f"found 0 in {TASKS}"


def _worker() -> Object:
    """Return a Pod with what Airflow's chart gives a worker by the values of the page."""
    blocks = _blocks("yaml", _section("### Airflow in the cluster"))
    (values,) = (block for block in blocks if block.startswith("# values-airflow.yaml\n"))
    home = {"name": "AIRFLOW_HOME", "value": "/tmp"}
    node = {f"node-{number}": path for number, path in enumerate(sorted(OF_THE_NODE))}
    container = {
        "name": "main",
        "image": IMAGE,
        "command": [str(PYTHON), "-W", "ignore", "-c", LOOK],
        "env": [*yaml.safe_load(values)["env"], home],
        "volumeMounts": [
            {"name": name, "mountPath": path, "readOnly": True} for name, path in node.items()
        ],
    }
    volumes = [{"name": name, "hostPath": {"path": path}} for name, path in node.items()]
    spec = {"serviceAccountName": WORKER, "restartPolicy": "Never", "volumes": volumes}
    return {"metadata": {"name": "worker"}, "spec": {**spec, "containers": [container]}}


@pytest.mark.usefixtures("namespaces")
def test_outside_of_the_cluster_a_kubeconfig_has_the_role_of_a_client(
    documented: str, cluster: Cluster, tmp_path: Path
) -> None:
    script = f'{documented}\necho "$AIRFLOW_CONN_TASKRUNS_DEFAULT"'
    printed = _as_administrator(script, cluster, tmp_path)
    connection = json.loads(printed[printed.index("{") :])
    assert connection["extra"]["namespace"] == TASKS
    client = Kube(tmp_path / Path(connection["extra"]["kube_config_path"]).name)
    _has_the_role_of_a_client_and_no_more(client)
    client.close()
