"""The end of a task and the end of its run, with each installation.

Covered: every kind of exit, signals, memory, results, failure text, init and other containers. Not
covered: ends with an external cause (cancellation, deadlines, refusals).
"""

import re

import pytest

from taskruns.api import names
from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import HEARD, IMAGE, KEEP_POD, pod_spec, shell
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import EACH_INSTALLATION
from tests.support.cluster.run import Run

pytestmark = EACH_INSTALLATION
SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
DIE = "kill -9 $$"
SAID = f"echo last words; {HEARD}"
NO_DATA = f"echo no data; {HEARD}; exit 5"
# As process 1 the task would ignore its own signals; a shared process namespace avoids that.
MORTAL = pod_spec(shareProcessNamespace=True)


def failed(reason: Reason, exit_code: int | None, *message: str) -> Ending:
    return Ending(Phase.FAILED, reason, exit_code, message, attempts=(Outcome.FAILED,))


@pytest.mark.taskrun(shell("echo hello from a task", **KEEP_POD))
def test_hello_succeeds_and_its_log_can_be_read(run: Run) -> None:
    status = SUCCEEDED.check(run)
    assert re.search(r"\bmain\b", status["message"])
    assert run.log() == "hello from a task\n"


@pytest.mark.guarantee(
    "An attempt whose main exited with 0 before a stop was recorded is `Succeeded`, regardless of "
    "later events"
)
@pytest.mark.taskrun(shell("exit 0"))
def test_exit_0_succeeds_and_the_pod_is_deleted(run: Run) -> None:
    SUCCEEDED.check(run)
    run.pods_gone()


@pytest.mark.guarantee(
    "The message of a failure has the last lines of the log, or the content of `resultPath`"
)
@pytest.mark.guarantee(
    "Any other exit code of main is `NonZeroExitCode`, counted by `backoffLimit`"
)
@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, marks=pytest.mark.taskrun(shell(f"{SAID}; exit {code}")))
        for code in (1, 3, 255)
    ],
)
def test_another_exit_code_fails_and_its_message_has_the_last_lines(run: Run, code: int) -> None:
    failed(Reason.NON_ZERO_EXIT_CODE, code, rf"\bmain\b.* code {code}\b", r"last words").check(run)
    run.pods_gone()


@pytest.mark.guarantee(
    "A main that ends by a signal of the system is `KilledBySignal`, counted by `backoffLimit`"
)
@pytest.mark.taskrun(shell(DIE, **MORTAL))
def test_a_task_ended_by_sigkill_fails_with_the_signal(run: Run) -> None:
    status = failed(
        Reason.KILLED_BY_SIGNAL, 137, r"\bmain\b.*exit code 137 \(128\+9, SIGKILL\)"
    ).check(run)
    assert status["attempts"][0]["signal"] == 9
    run.pods_gone()


@pytest.mark.taskrun(shell("trap 'exit 0' TERM; kill -TERM $$; while :; do sleep 1; done"))
def test_a_task_that_handles_sigterm_ends_with_its_own_exit_code(run: Run) -> None:
    SUCCEEDED.check(run)
    run.pods_gone()


@pytest.mark.guarantee(
    "A main that exceeds its memory limit is `OOMKilled`, counted by `backoffLimit`"
)
@pytest.mark.taskrun(
    shell("sleep 1; exec tail /dev/zero", resources={"limits": {"memory": "64Mi"}})
)
def test_a_task_over_its_memory_limit_is_oom_killed(run: Run) -> None:
    failed(Reason.OOM_KILLED, 137, r"\bmain\b.*memory", r"limits\.memory").check(run)
    run.pods_gone()


@pytest.mark.guarantee("The content of `resultPath` is the result, of the successful attempt only")
@pytest.mark.taskrun(
    shell(
        """echo '{"rows": 42, "name": "Grüße"}' > /airflow/xcom/return.json""",
        resultPath="/airflow/xcom/return.json",
    )
)
def test_the_content_of_result_path_is_the_result(run: Run) -> None:
    ending = Ending(
        Phase.SUCCEEDED,
        Reason.COMPLETED,
        0,
        attempts=(Outcome.SUCCEEDED,),
        result='{"rows": 42, "name": "Grüße"}\n',
    )
    ending.check(run)
    run.pods_gone()


@pytest.mark.taskrun(shell("echo not a result; : > /result", resultPath="/result"))
def test_an_empty_result_is_none_even_with_a_log(run: Run) -> None:
    SUCCEEDED.check(run)
    run.pods_gone()


@pytest.mark.guarantee("A result of up to 4095 bytes is stored whole")
@pytest.mark.taskrun(shell("head -c 4095 /dev/zero | tr '\\0' x > /dev/termination-log"))
def test_a_result_just_under_the_limit_is_stored_whole(run: Run) -> None:
    ending = Ending(
        Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,), result="x" * 4095
    )
    ending.check(run)
    run.pods_gone()


@pytest.mark.guarantee("A longer result is `ResultTooLarge` and not stored, and the run succeeds")
@pytest.mark.taskrun(shell("head -c 4096 /dev/zero | tr '\\0' x > /dev/termination-log"))
def test_a_result_at_the_limit_is_not_stored_and_the_run_succeeds(run: Run) -> None:
    ending = Ending(
        Phase.SUCCEEDED,
        Reason.COMPLETED,
        0,
        attempts=(Outcome.SUCCEEDED,),
        conditions={"ResultStored": "False"},
    )
    status = ending.check(run)
    stored = next(c for c in status["conditions"] if c["type"] == "ResultStored")
    assert stored["reason"] == Reason.RESULT_TOO_LARGE
    assert "4096" in stored["message"]
    run.pods_gone()


@pytest.mark.guarantee("Bytes that are not UTF-8 are returned as U+FFFD")
@pytest.mark.taskrun(shell("printf 'a\\377b' > /dev/termination-log"))
def test_bytes_that_are_not_utf_8_are_stored_as_replacement_characters(run: Run) -> None:
    ending = Ending(
        Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,), result="a\ufffdb"
    )
    ending.check(run)
    run.pods_gone()


@pytest.mark.guarantee(
    "The message of a failure has the last lines of the log, or the content of `resultPath`"
)
@pytest.mark.taskrun(
    shell("echo from the log; printf 'the input is missing' > /dev/termination-log; exit 4")
)
def test_the_content_of_result_path_is_the_message_of_a_failure(run: Run) -> None:
    ending = failed(Reason.NON_ZERO_EXIT_CODE, 4, r"\bmain\b.* code 4\b", r"the input is missing")
    status = ending.check(run)
    assert "from the log" not in status["message"]
    run.pods_gone()


@pytest.mark.guarantee(
    "A failed init container is `InitContainerFailed`, counted by `backoffLimit`, with its name "
    "and exit code"
)
@pytest.mark.taskrun(
    shell(
        "echo never",
        **pod_spec(
            initContainers=[{"name": "prepare", "image": IMAGE, "command": ["sh", "-c", NO_DATA]}]
        ),
    )
)
def test_a_failed_init_container_is_named_and_main_has_no_exit_code(run: Run) -> None:
    ending = failed(Reason.INIT_CONTAINER_FAILED, None, r"\bprepare\b.* code 5\b", r"no data")
    ending.check(run)
    run.pods_gone()


@pytest.mark.guarantee(
    "A container that continues after main has ended is stopped, and main's end decides"
)
@pytest.mark.taskrun(
    shell(
        "exit 0",
        **pod_spec(
            terminationGracePeriodSeconds=1,
            containers=[
                {"name": "main"},
                {"name": "helper", "image": IMAGE, "command": ["sleep", "3600"]},
            ],
        ),
    )
)
def test_a_container_that_outlives_main_is_stopped_and_mains_end_decides(run: Run) -> None:
    SUCCEEDED.check(run)
    assert "Stopping" in run.phases()
    run.pods_gone()


@pytest.mark.guarantee("A native sidecar is ended by the kubelet once main has ended")
@pytest.mark.taskrun(
    shell(
        "exit 3",
        **pod_spec(
            terminationGracePeriodSeconds=1,
            initContainers=[
                {
                    "name": "proxy",
                    "image": IMAGE,
                    "command": ["sleep", "3600"],
                    "restartPolicy": "Always",
                }
            ],
        ),
    )
)
def test_a_native_sidecar_is_ended_by_the_kubelet(run: Run) -> None:
    failed(Reason.NON_ZERO_EXIT_CODE, 3, r"\bmain\b.* code 3\b").check(run)
    assert "Stopping" not in run.phases()
    run.pods_gone()


@pytest.mark.guarantee("A failed container beside main has no effect: main's end decides")
@pytest.mark.taskrun(
    shell(
        "sleep 2",
        **pod_spec(
            containers=[{"name": "main"}, {"name": "helper", "image": IMAGE, "command": ["false"]}]
        ),
    )
)
def test_a_container_that_fails_beside_main_does_not_fail_the_run(run: Run) -> None:
    SUCCEEDED.check(run)
    assert run.pod()["status"]["phase"] == "Failed"
    run.pods_gone()


@pytest.mark.guarantee("Main is the only container, the annotated one, or the one called `main`")
@pytest.mark.taskrun(
    {
        "args": ["exit 6"],
        "template": {
            "metadata": {"annotations": {names.ANNOTATION_DEFAULT_CONTAINER: "work"}},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [
                    {"name": "log", "image": IMAGE, "command": ["sleep", "3600"]},
                    {"name": "work", "image": IMAGE, "command": ["sh", "-c"]},
                ],
            },
        },
    }
)
def test_the_annotated_container_is_main(run: Run) -> None:
    failed(Reason.NON_ZERO_EXIT_CODE, 6, r"\bwork\b.* code 6").check(run)
    run.pods_gone()


@pytest.mark.taskrun(shell("sleep 8"))
def test_a_longer_task_is_reported_as_running(run: Run) -> None:
    SUCCEEDED.check(run)
    assert run.phases() == ["Pending", "Running", "Succeeded"]
    run.pods_gone()
