"""The promise holds in every order of events, requests, faults and crashes that is generated."""

import pytest

from tests.model import Model, Script
from tests.model.batch import check
from tests.model.strategies import Step

pytestmark = pytest.mark.guarantee(
    "The promise holds in every order of events, requests, faults and crashes that a test generates"
)


@pytest.mark.parametrize("batch", range(4))
def test_the_promise_holds_in_random_histories(batch: int) -> None:
    """`make soak` checks thousands of further histories."""
    result = check(0, batch)
    assert not result.summary, f"{result.traceback}\n{result.script}"


A_STOP_IS_DECIDED_ON_AN_OLD_POD: list[Step] = [
    (
        "create",
        {
            "name": "a",
            "scripts": [Script(exit_code=1)],
            "spec": {"activeDeadlineSeconds": 2, "backoffLimit": 2},
        },
    ),
    ("work", {"controller": 0, "sees": "TaskRun", "requests": ["arrives"]}),
    ("work", {"controller": 1, "sees": "Pod", "requests": ["arrives", "crash_after", "arrives"]}),
    ("time_passes", {"seconds": 40.0}),
]


def test_a_stop_that_is_decided_on_an_old_pod_does_not_delete_it() -> None:
    """The Pod has ended meanwhile; before, its failure was recorded as a disruption."""
    Model.replay(A_STOP_IS_DECIDED_ON_AN_OLD_POD)


A_RELEASE_IS_DECIDED_ON_AN_OLD_POD: list[Step] = [
    ("create", {"name": "a", "scripts": [Script(seconds=30.0)], "spec": {"backoffLimit": 0}}),
    ("work", {"controller": 1, "requests": ["arrives"] * 3, "sees": "TaskRun Pod"}),
    ("time_passes", {"seconds": 3.0}),
    ("delete", {"cascade": "foreground", "hold": True, "name": "a"}),
    ("work", {"controller": 0, "requests": ["arrives"], "sees": "TaskRun Pod"}),
    ("time_passes", {"seconds": 40.0}),
]


def test_a_release_that_is_decided_on_an_old_pod_does_not_lose_its_outcome() -> None:
    """The run is being deleted, and the Pod has ended meanwhile; before, it was released unread."""
    Model.replay(A_RELEASE_IS_DECIDED_ON_AN_OLD_POD)
