"""The commands of the README and of the pages that continue it work as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.support.absence import go_without
from tests.support.airflow.dag_test import AIRFLOW
from tests.support.cluster.installation import Installation, uninstall
from tests.support.documentation import typed

PROGRAMS = Path(sys.executable).parent
"""The folder of `taskrun` and `kubectl-taskrun`."""


@pytest.fixture
def shell(cluster: Cluster, namespace: str, tmp_path: Path) -> dict[str, str]:
    """Provide the environment of a user whose kubectl points at a namespace of their own."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(cluster.kubeconfig.read_text())
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{cluster.bin_dir}:{PROGRAMS}:{os.environ['PATH']}",
    }
    change = ["kubectl", "config", "set-context", "--current", f"--namespace={namespace}"]
    subprocess.run(change, env=environment, check=True, capture_output=True)
    return environment


def _remove(shell: dict[str, str], name: str) -> None:
    typed(f"kubectl delete taskrun {name} --ignore-not-found --timeout=60s", shell)


def test_the_readmes_task_runs_as_documented(documented: str, shell: dict[str, str]) -> None:
    _remove(shell, "hello")
    output = typed(documented, shell)
    assert re.search(r"^hello +Succeeded +Completed +0 ", output, re.MULTILINE)
    assert "hello from a TaskRun\n" in output
    assert "0 Container main completed" in output


def test_a_result_is_read_as_documented(documented: str, shell: dict[str, str]) -> None:
    assert '{"rows": 42}' in typed(documented, shell)


def test_a_run_is_suspended_and_resumed_as_documented(
    documented: str, shell: dict[str, str]
) -> None:
    _remove(shell, "progress")
    typed(documented, shell)
    suspended = "kubectl get taskrun progress -o jsonpath='{.spec.suspend}'"
    assert typed(suspended, shell) == "false"


def test_the_command_line_on_a_cluster_runs_as_documented(
    documented: str, shell: dict[str, str]
) -> None:
    """The run lasts several seconds: the installation of the tests deletes Pods after one."""
    _remove(shell, "progress")
    output = typed(documented, shell)
    assert "step 5 of 5\n" in output
    assert "progress: Succeeded" in output


def test_the_commands_for_docker_run_as_documented(
    documented: str, docker_address: str, tmp_path: Path
) -> None:
    environment = os.environ | {
        "DOCKER_HOST": docker_address,
        "TASKRUNS_STATE_DIR": str(tmp_path / "state"),
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
    }
    output = typed(documented, environment)
    assert "hello from a TaskRun\n" in output
    assert "hello\nexit code 3\n" in output
    assert re.search(r"^hello +Succeeded +Completed +0 ", output, re.MULTILINE)


def test_helm_installs_and_uninstalls_as_documented(
    documented: str, cluster: Cluster, installation: Installation, shell: dict[str, str]
) -> None:
    uninstall(cluster)
    try:
        output = typed(documented, shell)
    finally:
        installation.up()
    assert "STATUS: deployed" in output
    assert 'release "taskruns" uninstalled' in output


def test_airflow_runs_the_example_as_documented(
    documented: str, shell: dict[str, str], tmp_path: Path
) -> None:
    if not AIRFLOW.is_dir():
        go_without("no Airflow 3: `make airflow` makes it")
    home = {"AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    path = {"PATH": f"{AIRFLOW}:{shell['PATH']}"}
    output = typed(f"{{ {documented} }} 2>&1", shell | home | path)
    assert "hello from a TaskRun" in output
    assert "the answer is 42" in output
