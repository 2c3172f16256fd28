"""Programs that tests start are reachable from this machine only."""

from tests.support.airflow.processes import Airflow
from tests.support.listening import addresses


def test_the_airflow_of_the_tests_listens_only_on_loopback(airflow: Airflow) -> None:
    assert addresses(airflow.processes()) == {"127.0.0.1"}
