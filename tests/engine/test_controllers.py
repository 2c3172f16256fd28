"""Controllers that die, miss events, or run twice: each run still ends exactly once."""

import pytest

from tests.engine.runtime import Runtime, summarize
from tests.engine.work import HELLO, THIRD_TIME_LUCKY, exits, lasts

SOON = {"duration": "500ms", "factor": 1}


@pytest.mark.guarantee("Nothing is lost or repeated when two controllers run at once")
def test_two_controllers_at_once_run_the_work_once(runtime: Runtime) -> None:
    runtime.resume()
    tasks = [runtime.start(HELLO, name=f"hello-{number}") for number in range(5)]
    for task in tasks:
        assert summarize(task.ended()) == ("Succeeded", "Completed", 0, ["Succeeded"])
        task.pods_gone()


def test_two_controllers_at_once_retry_within_the_limit(runtime: Runtime) -> None:
    runtime.resume()
    task = runtime.start(THIRD_TIME_LUCKY, backoffLimit=2, backoff=SOON)
    assert summarize(task.ended())[3] == ["Failed", "Failed", "Succeeded"]
    task.pods_gone()


@pytest.mark.guarantee("Nothing is lost or repeated when a controller no longer receives changes")
@pytest.mark.of_a_cluster
def test_a_controller_that_receives_no_pods_does_not_affect_runs(runtime: Runtime) -> None:
    runtime.resume(blind_to_pods=True)
    task = runtime.start(exits(3), backoffLimit=1, backoff=SOON)
    assert summarize(task.ended()) == ("Failed", "NonZeroExitCode", 3, ["Failed", "Failed"])
    task.pods_gone()


def test_a_run_continues_without_a_controller(runtime: Runtime) -> None:
    task = runtime.start(lasts(1.5))
    task.main_runs()
    runtime.pause()

    def over() -> bool | None:
        return True if [pod for pod in task.pods if pod["status"]["phase"] == "Succeeded"] else None

    runtime.wait("the Pod ends unwatched", over)
    runtime.resume()
    assert summarize(task.ended()) == ("Succeeded", "Completed", 0, ["Succeeded"])
    task.pods_gone()


@pytest.mark.guarantee(
    "A running Pod that is deleted is `PodDeleted`, counted by `disruptionLimit`"
)
def test_deletion_of_a_running_pod_without_a_controller_is_recorded(runtime: Runtime) -> None:
    task = runtime.start(lasts(1000), template={"spec": {"terminationGracePeriodSeconds": 1}})
    pod = task.main_runs()
    runtime.pause()
    runtime.delete_pod(pod["metadata"]["name"])
    runtime.resume()
    status = task.ended()
    assert summarize(status) == ("Failed", "PodDeleted", 137, ["Disrupted"])
    assert status["failureKind"] == "Infrastructure"
    assert status["disrupted"] == 1
    task.pods_gone()


@pytest.mark.guarantee("A restart of the controller keeps the time of a retry")
def test_a_due_time_is_kept_across_a_restart(runtime: Runtime) -> None:
    task = runtime.start(exits(1), backoffLimit=1, backoff={"duration": "3s", "factor": 1})
    message = task.reaches("BackingOff")["message"]
    runtime.pause()
    runtime.resume()
    assert summarize(task.ended())[3] == ["Failed", "Failed"]
    assert "due at" in message
