"""The tutorial that this project follows, unchanged, in a whole Airflow."""

from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.support.airflow.processes import Airflow
from tests.support.airflow.task import Observers, Task
from tests.support.cluster.client import PODS, RUNS, Kube

DAG, RUN = "tutorial_kubernetes", "tutorial"


@pytest.fixture
def reachable_default(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Allow Airflow to create TaskRuns in the namespace `default`, which the tutorial names."""
    cluster.load_python("trixie")
    bound = ("--clusterrole=taskruns-client", f"--serviceaccount={namespace}:airflow")
    cluster.kubectl("create", "rolebinding", "tutorial", "-n", "default", *bound)
    yield
    cluster.kubectl("delete", "rolebinding", "tutorial", "-n", "default")


@pytest.mark.usefixtures("reachable_default")
def test_the_tutorials_pod_runs_in_its_namespace_and_is_deleted(
    airflow: Airflow, observers: Observers, kube: Kube
) -> None:
    airflow.rest.resume(DAG)
    airflow.rest.trigger(DAG, RUN)
    task = Task(airflow, observers, DAG, RUN, "run_in_k8s")
    task.succeeds()
    task.says("Hello from inside Kubernetes!")
    ours = f"dag_id={DAG},run_id={RUN}"
    (run,) = kube.list(RUNS, "default", ours)
    assert run["metadata"]["name"].startswith("airflow-k8s-task-")
    airflow.wait(lambda: not kube.list(PODS, "default", ours) or None, "the Pod is deleted")
    kube.delete(RUNS, "default", run["metadata"]["name"])
