"""Many tasks at once, of short work: Airflow's own race must not fail one of them."""

import pytest

from tests.support.airflow_task import DEFERRED, Count, Task
from tests.support.ledger import START

MANY = 50
SHORT = [["-c", f"{START}; sleep {0.2 + 1.8 * n / MANY:.2f}"] for n in range(MANY)]


@pytest.mark.timeout(600)
@pytest.mark.task("", modes=DEFERRED, command=["sh"], mapped={"arguments": SHORT}, at_once=8)
def test_fifty_mapped_tasks_of_a_moment_each_succeed_at_their_first_try(task: Task) -> None:
    task.all_end(MANY, seconds=480)
    assert {each["state"] for each in task.instances()} == {"success"}
    assert {each["try_number"] for each in task.instances()} == {1}
    assert task.counted() == Count(created=MANY, released=MANY, started=MANY)
