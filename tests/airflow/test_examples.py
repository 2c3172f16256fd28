"""Every example DAG succeeds in a whole Airflow, with no more rights than the role gives."""

from typing import Any

import pytest

from tests.cluster import Cluster
from tests.support.airflow.processes import EXAMPLES, Airflow

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
RUN = "example"
WITHIN = 600.0


@pytest.fixture(scope="module")
def triggered(cluster: Cluster, airflow: Airflow) -> None:
    """Each example has been started; they run side by side."""
    cluster.load_python("trixie")
    for suite in ("bookworm", "trixie"):
        cluster.load_debian("pandas", suite, ["python3-pandas"])
    wanted = {_dag_id(name) for name in NAMES}
    airflow.wait(lambda: wanted <= airflow.rest.dags() or None, "every example is known")
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
        found = airflow.rest.dag_run(_dag_id(name), RUN)
        return found if found["state"] in {"success", "failed"} else None

    ended = airflow.wait(look, f"{name} has ended", WITHIN)
    assert ended["state"] == "success", airflow.rest.instances(_dag_id(name), RUN)


def _dag_id(name: str) -> str:
    return f"taskruns_{name}"
