"""How tasks end in a real Airflow: results, logs, and failures that say what they are."""

import pytest

from tests.support.airflow_task import ONCE, Task

RESULT = "echo '{\"answer\": 42}' > /airflow/xcom/return.json"


@pytest.mark.task(f"for n in 1 2 3; do echo line $n; sleep 1; done; {RESULT}")
def test_a_success_has_its_log_in_order_and_its_result(task: Task) -> None:
    task.succeeds()
    log = task.log().splitlines()
    assert [line for line in log if line.startswith("line ")] == ["line 1", "line 2", "line 3"]
    assert task.xcom() == {"answer": 42}
    assert task.xcom("exit_code") == 0
    assert task.counted() == ONCE
    (run,) = task.runs()
    assert task.xcom("taskrun_uid") == run.uid
