"""Programs that tests start are reachable from this machine only."""

from tests.support.airflow.processes import Airflow
from tests.support.listening import addresses


def test_an_airflow_of_tests_listens_on_loopback_alone(airflow: Airflow) -> None:
    assert addresses(airflow.processes()) == {"127.0.0.1"}
