"""Time limit of the detached follower of a run."""

from taskruns.engines.docker.detached_follower import patience_with
from taskruns.engines.docker.state_file import Record

HOUR = 3600
POD = {"spec": {"terminationGracePeriodSeconds": HOUR}}


def test_a_running_run_is_followed_without_limit() -> None:
    assert patience_with(Record({"spec": {}}, {"a-1": POD})) is None


def test_a_cancelled_run_is_followed_for_little_more_than_its_grace_period() -> None:
    patience = patience_with(Record({"spec": {"cancel": True}}, {"a-1": POD}))
    assert patience is not None
    assert HOUR < patience < 2 * HOUR
