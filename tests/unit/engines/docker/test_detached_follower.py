"""Time limit of the detached follower of a run."""

from taskruns.engines.docker.detached_follower import patience_with
from taskruns.engines.docker.state_file import Record

HOUR = 3600
POD = {"spec": {"terminationGracePeriodSeconds": HOUR}}


def test_a_run_that_is_at_work_is_followed_for_as_long_as_it_takes() -> None:
    assert patience_with(Record({"spec": {}}, {"a-1": POD})) is None


def test_a_cancelled_run_is_followed_for_its_grace_period_and_not_much_longer() -> None:
    patience = patience_with(Record({"spec": {"cancel": True}}, {"a-1": POD}))
    assert patience is not None
    assert HOUR < patience < 2 * HOUR
