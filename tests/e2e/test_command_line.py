"""`taskrun` as users type it, on a real Docker daemon: its output and its exit codes."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import yaml

from tests.support.command_line import CTRL_C, ROOT, SECONDS, CommandLine, Done

LOOP = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 600 & wait; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 600 & wait; done"


@pytest.fixture
def taskrun(docker_address: str, tmp_path: Path) -> CommandLine:
    state = {"DOCKER_HOST": docker_address, "TASKRUNS_STATE_DIR": str(tmp_path / "state")}
    return CommandLine(os.environ | state)


def shell(taskrun: CommandLine, script: str, *options: str) -> Done:
    return taskrun("run", *options, "--image", "busybox:1", "--", "sh", "-c", script)


def test_a_task_is_followed_to_its_end_with_its_log_and_its_exit_code(taskrun: CommandLine) -> None:
    done = shell(taskrun, "echo hello; exit 3", "--name", "failing")
    assert (done.returncode, done.stdout) == (3, "hello\n")
    assert "taskrun: failing Failed: Container main exited with code 3" in done.stderr
    assert "docker logs failing-" in done.stderr
    assert taskrun("logs", "failing").stdout == "hello\n"
    (listed,) = json.loads(taskrun("list", "-o", "json").stdout)["items"]
    assert listed["status"]["exitCode"] == 3
    story = taskrun("describe", "failing").stdout
    assert story.startswith("failing: Failed, NonZeroExitCode\n")
    assert "Attempt 1: Failed, NonZeroExitCode" in story


def test_a_file_is_run_and_its_result_is_kept_until_deletion(taskrun: CommandLine) -> None:
    sample = ROOT / "manifests/samples/result.yaml"
    assert taskrun("run", "-", "--quiet", stdin=sample.read_text()).returncode == 0
    run = yaml.safe_load(taskrun("get", "result", "-o", "yaml").stdout)
    assert json.loads(run["status"]["result"]) == {"rows": 42}
    assert taskrun("rerun", "result", "--as", "again").returncode == 0
    assert taskrun("delete", "result").stdout == "result deleted\n"
    assert taskrun("list", "-o", "name").stdout == "taskrun.taskruns.dev/again\n"


def test_a_detached_run_is_cancelled_and_awaited(taskrun: CommandLine) -> None:
    script = "trap 'exit 4' TERM; while :; do sleep 600 & wait; done"
    assert shell(taskrun, script, "--detach", "--name", "long").stdout == "long\n"
    assert taskrun("cancel", "long").returncode == 0
    assert taskrun("wait", "long", "--timeout", "60").returncode == 130
    again = taskrun("cancel", "long")
    assert (again.returncode, "has ended" in again.stderr) == (1, True)


def test_a_detached_run_has_its_command_and_variables(taskrun: CommandLine) -> None:
    options = ("--detach", "--name", "greeting", "-e", "GREETING=hello $(HOME) $$ there")
    assert shell(taskrun, 'test $$ = 1 && echo "$GREETING"', *options).returncode == 0
    assert taskrun("wait", "greeting").returncode == 0
    assert taskrun("logs", "greeting").stdout == "hello $(HOME) $$ there\n"


def test_an_interrupt_cancels_with_the_grace_period(taskrun: CommandLine) -> None:
    command = ["run", "--name", "cut", "--image", "busybox:1", "--", "sh", "-c", LOOP]
    with taskrun.start(*command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "bye\n")
    assert "cancelling" in err


def test_a_second_ctrl_c_kills_a_task_that_ignores_sigterm(taskrun: CommandLine) -> None:
    manifest = taskrun.environment["TASKRUNS_STATE_DIR"] + ".yaml"
    template = {"spec": {"terminationGracePeriodSeconds": 3600}}
    spec = {"image": "busybox:1", "command": ["sh", "-c", DEAF], "template": template}
    kind = {"apiVersion": "taskruns.dev/v1alpha1", "kind": "TaskRun", "metadata": {"name": "deaf"}}
    Path(manifest).write_text(yaml.safe_dump(kind | {"spec": spec}))
    with taskrun.at_terminal("run", manifest) as terminal:
        terminal.wait_for("ready")
        terminal.type(CTRL_C)
        terminal.wait_for("Stopping")
        terminal.type(CTRL_C)
        assert terminal.wait() == 130
    run = json.loads(taskrun("get", "deaf", "-o", "json").stdout)
    assert (run["status"]["phase"], run["status"]["exitCode"]) == ("Cancelled", 137)


def test_a_run_of_a_killed_client_is_followed_by_another(taskrun: CommandLine) -> None:
    script = "echo started; sleep 3; echo ended"
    command = ["run", "--name", "orphan", "--image", "busybox:1", "--", "sh", "-c", script]
    with taskrun.start(*command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.kill()
    assert taskrun("wait", "orphan").returncode == 0
    assert taskrun("logs", "orphan").stdout == "started\nended\n"


def test_a_command_collects_garbage_of_unfollowed_runs(taskrun: CommandLine) -> None:
    sample = (ROOT / "manifests/samples/hello.yaml").read_text() + "  ttlSecondsAfterFinished: 1\n"
    assert taskrun("run", "-", "--quiet", stdin=sample).returncode == 0
    time.sleep(2)  # until its time to live is over
    swept = Path(taskrun.environment["TASKRUNS_STATE_DIR"], ".swept")
    os.utime(swept, (0, 0))
    deadline = time.monotonic() + SECONDS
    with taskrun.start("run", "--image", "busybox:1", "--", "sh", "-c", LOOP) as process:
        while "/hello" in taskrun("list", "-o", "name").stdout:
            assert time.monotonic() < deadline, "it is never cleaned up"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)


def test_a_cancel_stops_an_unfollowed_run_and_its_record_ends(taskrun: CommandLine) -> None:
    command = ["run", "--name", "left", "--image", "busybox:1", "--", "sh", "-c", LOOP]
    with taskrun.start(*command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    assert taskrun("cancel", "left").returncode == 0
    record = Path(taskrun.environment["TASKRUNS_STATE_DIR"], "default/left.json")
    deadline = time.monotonic() + SECONDS
    while (status := json.loads(record.read_text())["run"]["status"])["phase"] != "Cancelled":
        assert time.monotonic() < deadline, "it never ends"
        time.sleep(0.1)
    assert status["exitCode"] == 4
    assert taskrun("wait", "left").returncode == 130
    assert taskrun("logs", "left").stdout == "ready\nbye\n"


def test_colour_is_printed_on_terminals_only(taskrun: CommandLine) -> None:
    assert shell(taskrun, "true", "--name", "plain").returncode == 0
    assert "\x1b" not in taskrun("list").stdout + taskrun("describe", "plain").stdout
    for more, coloured in (({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)):
        for command in (["list"], ["describe", "plain"]):
            with taskrun.at_terminal(*command, **more) as terminal:
                assert terminal.wait() == 0
            assert ("32m" in terminal.shown) is coloured, command
            assert "Succeeded" in terminal.shown


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["describe", "nobody"], 1, "TaskRun nobody not found"),
        (["run", "/no/such/file.yaml"], 2, "cannot be read: No such file"),
        (["run"], 2, "taskrun run --help"),
        (["run", "-"], 2, "exactly one TaskRun"),
        (["run", "--image", "x", "--name", "Not_Valid"], 1, "lower-case letters"),
        (["run", "--image", "", "--", "true"], 1, "spec.image: "),
        (["run", "--image", "x", "--secret", "a=b"], 2, "NAME/KEY=VALUE"),
        (["run", "--image", "x", "-d", "--secret", "a/b=c"], 2, "only this process has the value"),
    ],
)
def test_errors_are_one_line(
    taskrun: CommandLine, arguments: list[str], code: int, expected: str
) -> None:
    done = taskrun(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unavailable_daemon_is_reported_with_advice(
    taskrun: CommandLine, tmp_path: Path
) -> None:
    done = taskrun("run", "--image", "busybox:1", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 125
    assert "or set DOCKER_HOST to its address" in done.stderr
