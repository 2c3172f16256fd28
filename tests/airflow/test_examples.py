"""Every example DAG succeeds in a whole Airflow, with only the rights of the client role."""

from typing import Any

import pytest

from tests.cluster import Cluster
from tests.support.airflow.processes import EXAMPLES, Airflow

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
RUN = "example"
WITHIN = 600.0


@pytest.fixture(scope="module")
def triggered(cluster: Cluster, airflow: Airflow) -> None:
    """Start all examples, which run in parallel."""
    cluster.load_python("trixie")
    for suite in ("bookworm", "trixie"):
        cluster.load_debian("pandas", suite, ["python3-pandas"])
    expected = {_dag_id(name) for name in NAMES}
    airflow.wait(lambda: expected <= airflow.rest.dags() or None, "every example is known")
    for name in NAMES:
        airflow.rest.resume(_dag_id(name))
        airflow.rest.trigger(_dag_id(name), RUN)


@pytest.mark.timeout(WITHIN + 60)
@pytest.mark.parametrize("name", NAMES)
def test_an_example_succeeds(
    name: str,
    triggered: None,  # noqa: ARG001  # it has been started
    airflow: Airflow,
) -> None:
    def look() -> dict[str, Any] | None:
        dag_run = airflow.rest.dag_run(_dag_id(name), RUN)
        return dag_run if dag_run["state"] in {"success", "failed"} else None

    ended = airflow.wait(look, f"{name} has ended", WITHIN)
    assert ended["state"] == "success", airflow.rest.instances(_dag_id(name), RUN)


def _dag_id(name: str) -> str:
    return f"taskruns_{name}"
