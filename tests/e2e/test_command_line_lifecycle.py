"""Lives of runs as users control and read them with `taskrun`, on a real Docker daemon."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskruns.api import names
from tests.engine.work import IMAGE
from tests.support.command_line import SECONDS, CommandLine

UNTIL_STOPPED = "trap 'echo bye; exit 4' TERM; while :; do sleep 600 & wait; done"
SECOND_TIME_GOOD = 'echo attempt $TASKRUN_ATTEMPT; [ "$TASKRUN_ATTEMPT" = 2 ] && exit; '
TIME = re.compile(r"^ +(\w[\w ]*\w) +\d\d:\d\d:\d\d +\w+", re.MULTILINE)
"""A line of an attempt's timeline: step, start time, duration."""


@pytest.fixture
def taskrun(docker_address: str, tmp_path: Path) -> CommandLine:
    state = {"DOCKER_HOST": docker_address, "TASKRUNS_STATE_DIR": str(tmp_path / "state")}
    return CommandLine(os.environ | state)


def manifest(name: str, script: str, **spec: Any) -> str:
    """Return a TaskRun whose containers stay until it is deleted."""
    kind = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": name}}
    defaults = {"image": IMAGE, "command": ["sh", "-c", script], "podGC": {"strategy": "Never"}}
    return yaml.safe_dump({**kind, "spec": {**defaults, **spec}})


def run(taskrun: CommandLine, *arguments: str, stdin: str = "", code: int = 0) -> str:
    done = taskrun(*arguments, stdin=stdin)
    assert done.returncode == code, (arguments, done)
    return done.stdout if not code else done.stderr


def status(taskrun: CommandLine, name: str) -> Any:
    return json.loads(run(taskrun, "get", name, "-o", "json"))["status"]


def until(what: str, look: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not look():
        assert time.monotonic() < deadline, f"it never comes to that: {what}"
        time.sleep(0.1)


def test_a_run_is_suspended_and_resumed_and_each_attempt_has_its_log(taskrun: CommandLine) -> None:
    script = SECOND_TIME_GOOD + UNTIL_STOPPED
    assert run(taskrun, "run", "-", "--detach", stdin=manifest("held", script)) == "held\n"
    with taskrun.start("logs", "--follow", "held") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "attempt 1\n"
        assert run(taskrun, "suspend", "held") == "held suspended\n"
        assert following.communicate(timeout=SECONDS)[0] == "bye\n"
    until("it is suspended", lambda: status(taskrun, "held")["phase"] == "Suspended")
    waited = run(taskrun, "wait", "held", "--timeout", "0.2", code=124)
    assert waited == "taskrun: held has not ended within 0.2 s and continues\n"
    assert run(taskrun, "resume", "held") == "held resumed\n"
    assert run(taskrun, "wait", "held") == ""
    for attempt, log in (("1", "attempt 1\nbye\n"), ("2", "attempt 2\n")):
        assert run(taskrun, "logs", "held", "--attempt", attempt) == log
    assert run(taskrun, "logs", "held") == "attempt 2\n"
    none = run(taskrun, "logs", "held", "--attempt", "3", code=1)
    assert none == "taskrun: held has no attempt 3: `taskrun describe held` shows its state\n"
    assert [each["outcome"] for each in status(taskrun, "held")["attempts"]] == [
        "Stopped",
        "Succeeded",
    ]
    run(taskrun, "delete", "held")


def test_retries_are_followed_and_described_as_a_timeline(taskrun: CommandLine) -> None:
    retried = {"backoffLimit": 1, "backoff": {"duration": "2s", "factor": 1}}
    sample = manifest("lucky", SECOND_TIME_GOOD + "exit 7", **retried)
    assert run(taskrun, "run", "-", stdin=sample) == "attempt 1\nattempt 2\n"
    story = run(taskrun, "describe", "lucky")
    summary, first, second = re.split(r"\n(?=Attempt )", story)
    assert summary.startswith("lucky: Succeeded, Completed\n")
    assert "1 (limit 1)" in summary
    assert first.startswith("Attempt 1: Failed, NonZeroExitCode, exit code 7\n")
    assert second.startswith("Attempt 2: Succeeded, Completed, exit code 0\n")
    assert [step for step in TIME.findall(first) if step != "queued"] == [
        "scheduling",
        "starting",
        "running",
    ]
    assert TIME.findall(second) == ["queued", "scheduling", "starting", "running"]
    again = run(taskrun, "rerun", "lucky", "--quiet")
    assert again == "attempt 1\nattempt 2\n"
    listed = run(taskrun, "list", "-o", "name").split()
    assert listed[0] == f"{names.SINGULAR}.{names.GROUP}/lucky"
    (name,) = re.findall(r"/(lucky-[a-z0-9]+)$", listed[1])
    for each in ("lucky", name):
        run(taskrun, "delete", each)


def test_runs_of_all_namespaces_are_listed_in_every_form(taskrun: CommandLine) -> None:
    for namespace in ("default", "etl"):
        words = ["--namespace", namespace, "--name", f"of-{namespace}", "--image", IMAGE]
        run(taskrun, "run", *words, "--", "true")
    names_of = {
        form: run(taskrun, "list", "--all-namespaces", "-o", form)
        for form in ("table", "wide", "json", "yaml", "name")
    }
    head, *rows = names_of["table"].splitlines()
    assert head.split() == ["NAMESPACE", "NAME", "PHASE", "REASON", "EXIT", "ATTEMPT", "AGE"]
    assert [row.split()[:6] for row in rows] == [
        [namespace, f"of-{namespace}", "Succeeded", "Completed", "0", "1"]
        for namespace in ("default", "etl")
    ]
    head, *rows = names_of["wide"].splitlines()
    assert head.split()[-3:] == ["POD", "NODE", "IMAGE"]
    assert [row.split()[-2:] for row in rows] == [["docker", IMAGE]] * 2
    listed = json.loads(names_of["json"])
    assert listed == yaml.safe_load(names_of["yaml"])
    assert [item["metadata"]["namespace"] for item in listed["items"]] == ["default", "etl"]
    assert names_of["name"].split() == [
        f"{names.SINGULAR}.{names.GROUP}/of-{namespace}" for namespace in ("default", "etl")
    ]
    assert run(taskrun, "list", "-n", "etl", "-o", "name").split() == names_of["name"].split()[1:]


def test_deletion_of_a_running_run_removes_its_container_and_followers_report_it(
    taskrun: CommandLine, docker_address: str
) -> None:
    run(taskrun, "run", "-", "--detach", stdin=manifest("unwanted", "echo on; " + UNTIL_STOPPED))
    until("it runs", lambda: status(taskrun, "unwanted").get("phase") == "Running")
    pod = status(taskrun, "unwanted")["podName"]
    with taskrun.start("follow", "unwanted") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "on\n"
        assert run(taskrun, "delete", "unwanted") == "unwanted deleted\n"
        output = follower.communicate(timeout=SECONDS)
    assert follower.returncode == 125
    assert "unwanted was deleted before it had ended" in output[1]
    command = ["docker", "--host", docker_address, "ps", "--all", "--quiet", "--filter"]
    kept = subprocess.run([*command, f"name={pod}"], check=True, capture_output=True, text=True)
    assert kept.stdout == ""
    assert run(taskrun, "list") == ""
