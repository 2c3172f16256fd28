"""Ends of tasks and the resulting ends of their runs: exit codes, signals, memory, results."""

import pytest

from tests.engine.runtime import Runtime, summarize
from tests.engine.work import (
    EATS_MEMORY,
    HELLO,
    KILLS_ITSELF,
    NO_SUCH_PROGRAM,
    THIRD_TIME_LUCKY,
    Work,
    exits,
    lasts,
    writes,
)

SOON = {"duration": "500ms", "factor": 1}


def test_a_task_succeeds(runtime: Runtime) -> None:
    task = runtime.start(HELLO)
    status = task.ended()
    assert summarize(status) == ("Succeeded", "Completed", 0, ["Succeeded"])
    assert "main" in status["message"]
    assert status["attempt"] == 1
    assert status["startTime"] <= status["completionTime"]
    task.pods_gone()


@pytest.mark.parametrize("code", [1, 3, 255])
def test_an_exit_code_other_than_0_fails_the_run(runtime: Runtime, code: int) -> None:
    task = runtime.start(exits(code, "last words"))
    status = task.ended()
    assert summarize(status) == ("Failed", "NonZeroExitCode", code, ["Failed"])
    assert all(word in status["message"] for word in ("main", f"code {code}", "last words"))
    assert status["failureKind"] == "Application"
    task.pods_gone()


def test_a_signal_is_reported_as_killed_by_signal(runtime: Runtime) -> None:
    task = runtime.start(KILLS_ITSELF, template={"spec": {"shareProcessNamespace": True}})
    status = task.ended()
    assert summarize(status) == ("Failed", "KilledBySignal", 137, ["Failed"])
    assert "exit code 137 (128+9, SIGKILL)" in status["message"]
    assert status["attempts"][0]["signal"] == 9
    task.pods_gone()


def test_a_task_over_its_memory_limit_is_oom_killed(runtime: Runtime) -> None:
    task = runtime.start(EATS_MEMORY, resources={"limits": {"memory": "64Mi"}})
    status = task.ended()
    assert summarize(status) == ("Failed", "OOMKilled", 137, ["Failed"])
    assert "memory" in status["message"]
    task.pods_gone()


def test_a_missing_program_has_no_exit_code(runtime: Runtime) -> None:
    task = runtime.start(NO_SUCH_PROGRAM)
    status = task.ended()
    assert summarize(status) == ("Failed", "ContainerCannotStart", None, ["Failed"])
    assert all(word in status["message"] for word in ("main", "no such file"))
    task.pods_gone()


@pytest.mark.parametrize(
    ("work", "result"),
    [
        (writes("printf '{\"rows\": 42}'", b'{"rows": 42}'), '{"rows": 42}'),
        (writes("printf ''", b""), None),
        (writes("head -c 4095 /dev/zero | tr '\\0' x", b"x" * 4095), "x" * 4095),
        (
            writes("printf 'a\\377b'", b"a\xffb"),
            "a\N{REPLACEMENT CHARACTER}b",
        ),
    ],
    ids=["valid", "empty", "just under the limit", "not UTF-8"],
)
def test_the_termination_message_is_the_result(
    runtime: Runtime, work: Work, result: str | None
) -> None:
    task = runtime.start(work)
    status = task.ended()
    assert summarize(status) == ("Succeeded", "Completed", 0, ["Succeeded"])
    assert status.get("result") == result
    assert "ResultStored" not in {condition["type"] for condition in status["conditions"]}
    task.pods_gone()


def test_a_result_at_the_limit_is_not_stored_and_reported_as_too_large(runtime: Runtime) -> None:
    task = runtime.start(writes("head -c 4096 /dev/zero | tr '\\0' x", b"x" * 4096))
    status = task.ended()
    assert status["phase"] == "Succeeded"
    assert "result" not in status
    stored = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert stored["ResultStored"] == ("False", "ResultTooLarge")
    task.pods_gone()


def test_a_custom_result_path_is_used(runtime: Runtime) -> None:
    work = writes("cat /proc/self/stat > /dev/null; printf 7", b"7")
    task = runtime.start(
        Work(work.shell.replace("/dev/termination-log", "/out/result"), work.script),
        resultPath="/out/result",
    )
    assert task.ended()["result"] == "7"


def test_a_run_succeeds_after_two_failures(runtime: Runtime) -> None:
    task = runtime.start(THIRD_TIME_LUCKY, backoffLimit=2, backoff=SOON)
    status = task.ended()
    assert summarize(status) == ("Succeeded", "Completed", 0, ["Failed", "Failed", "Succeeded"])
    assert (status["attempt"], status["failed"]) == (3, 2)
    assert [attempt.get("exitCode") for attempt in status["attempts"]] == [7, 7, 0]
    assert len({attempt["podName"] for attempt in status["attempts"]}) == 3
    task.pods_gone()


def test_failures_beyond_the_limit_fail_the_run(runtime: Runtime) -> None:
    task = runtime.start(exits(5), backoffLimit=1, backoff=SOON)
    status = task.ended()
    assert summarize(status) == ("Failed", "NonZeroExitCode", 5, ["Failed", "Failed"])
    assert "Attempt 2 of 2" in status["message"]
    task.pods_gone()


def test_a_longer_run_is_reported_as_running(runtime: Runtime) -> None:
    task = runtime.start(lasts(5))
    status = task.reaches("Running")
    assert status["attempts"][0]["startedTime"]
    assert "main" in status["message"]
    assert task.ended()["phase"] == "Succeeded"


@pytest.mark.of_a_cluster
def test_a_container_that_outlives_main_is_stopped(runtime: Runtime) -> None:
    template = {
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main"}, runtime.container("log", lasts(1000))],
        }
    }
    task = runtime.start(exits(3), template=template)
    status = task.ended()
    assert summarize(status) == ("Failed", "NonZeroExitCode", 3, ["Failed"])
    task.pods_gone()


@pytest.mark.of_a_cluster
@pytest.mark.parametrize("fields", [{}, {"restartPolicy": "Never"}])
def test_an_init_container_that_fails_is_named(runtime: Runtime, fields: dict[str, str]) -> None:
    fetch = {**runtime.container("fetch", exits(7, "no route")), **fields}
    task = runtime.start(HELLO, template={"spec": {"initContainers": [fetch]}})
    status = task.ended()
    assert summarize(status) == ("Failed", "InitContainerFailed", None, ["Failed"])
    assert all(word in status["message"] for word in ("fetch", "code 7", "no route"))
    task.pods_gone()


POLICY = {
    "rules": [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [7]}},
    ]
}


def test_fail_job_ends_the_run_despite_remaining_retries(runtime: Runtime) -> None:
    task = runtime.start(exits(42), podFailurePolicy=POLICY, backoffLimit=5)
    status = task.ended()
    assert summarize(status) == ("Failed", "NonZeroExitCode", 42, ["Failed"])
    assert "FailJob by rule 1" in status["message"]


def test_ignored_failures_are_retried_uncounted(runtime: Runtime) -> None:
    soon = {"duration": "500ms", "factor": 1}
    task = runtime.start(THIRD_TIME_LUCKY, podFailurePolicy=POLICY, backoff=soon)
    status = task.ended()
    assert summarize(status) == ("Succeeded", "Completed", 0, ["Ignored", "Ignored", "Succeeded"])
    assert status["failed"] == 0
