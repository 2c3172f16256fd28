"""Controllers that die, miss events, or run twice: each run still ends exactly once."""

import pytest

from tests.engine.lab import Lab, told_of
from tests.engine.work import HELLO, THIRD_TIME_LUCKY, exits, lasts

SOON = {"duration": "500ms", "factor": 1}


def test_two_controllers_at_once_run_the_work_once(lab: Lab) -> None:
    lab.resume()
    tasks = [lab.start(HELLO, name=f"hello-{number}") for number in range(5)]
    for task in tasks:
        assert told_of(task.ended()) == ("Succeeded", "Completed", 0, ["Succeeded"])
        task.pods_gone()


def test_two_controllers_at_once_retry_no_more_than_asked(lab: Lab) -> None:
    lab.resume()
    task = lab.start(THIRD_TIME_LUCKY, backoffLimit=2, backoff=SOON)
    assert told_of(task.ended())[3] == ["Failed", "Failed", "Succeeded"]
    task.pods_gone()


@pytest.mark.of_a_cluster
def test_a_controller_that_sees_no_pods_does_no_harm(lab: Lab) -> None:
    lab.resume(blind_to_pods=True)
    task = lab.start(exits(3), backoffLimit=1, backoff=SOON)
    assert told_of(task.ended()) == ("Failed", "NonZeroExitCode", 3, ["Failed", "Failed"])
    task.pods_gone()


def test_a_run_goes_on_while_no_controller_is_there(lab: Lab) -> None:
    task = lab.start(lasts(1.5))
    task.main_runs()
    lab.pause()

    def over() -> bool | None:
        return True if [pod for pod in task.pods if pod["status"]["phase"] == "Succeeded"] else None

    lab.wait("the Pod ends unwatched", over)
    lab.resume()
    assert told_of(task.ended()) == ("Succeeded", "Completed", 0, ["Succeeded"])
    task.pods_gone()


def test_a_pod_deleted_at_work_while_no_controller_is_there_is_no_secret(lab: Lab) -> None:
    task = lab.start(lasts(1000), template={"spec": {"terminationGracePeriodSeconds": 1}})
    pod = task.main_runs()
    lab.pause()
    lab.delete_pod(pod["metadata"]["name"])
    lab.resume()
    status = task.ended()
    assert told_of(status) == ("Failed", "PodDeleted", 137, ["Disrupted"])
    assert status["failureKind"] == "Infrastructure"
    assert status["disrupted"] == 1
    task.pods_gone()


def test_a_due_time_is_kept_across_a_restart(lab: Lab) -> None:
    task = lab.start(exits(1), backoffLimit=1, backoff={"duration": "3s", "factor": 1})
    message = task.reaches("BackingOff")["message"]
    lab.pause()
    lab.resume()
    assert told_of(task.ended())[3] == ["Failed", "Failed"]
    assert "due at" in message
