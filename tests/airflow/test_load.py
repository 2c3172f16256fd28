"""Many short tasks at once: each runs once, and a race in Airflow fails none."""

import pytest

from tests.support.airflow.task import DEFERRED, Count, Task
from tests.support.cluster.start_counter import START

MANY = 25
WITHIN = 480
SHORT = [["-c", f"{START}; sleep {0.2 + 1.8 * n / MANY:.2f}"] for n in range(MANY)]


def each_succeeds_at_its_first_try(task: Task) -> None:
    task.all_end(MANY, seconds=WITHIN)
    assert {each["state"] for each in task.instances()} == {"success"}
    assert {each["try_number"] for each in task.instances()} == {1}
    assert task.counted() == Count(created=MANY, released=MANY, started=MANY)


@pytest.mark.timeout(600)
@pytest.mark.task("", modes=DEFERRED, command=["sh"], mapped={"arguments": SHORT}, at_once=8)
def test_short_mapped_tasks_succeed_at_their_first_try(task: Task) -> None:
    each_succeeds_at_its_first_try(task)


@pytest.mark.timeout(600)
@pytest.mark.task(
    "",
    modes=DEFERRED,
    command=["sh"],
    mapped={"arguments": SHORT},
    at_once=8,
    defer_after=10,
    later=True,
)
def test_mapped_tasks_that_end_before_they_defer_succeed_at_their_first_try(
    task: Task,
) -> None:
    """These tasks start after the others have ended, because all at once exceed the machine."""
    task.start()
    each_succeeds_at_its_first_try(task)
