"""The program as a whole: start, logs, stop, and two processes at once."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster import Cluster
from tests.operator.conftest import ARGUMENTS, Submit
from tests.support.cluster.client import Object
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.watch_recorder import WatchRecorder

Ended = Callable[..., Object]


@pytest.fixture
def second_controller(served: Cluster) -> Iterator[ControllerProcess]:
    """Provide a controller for one test, which may end it."""
    second_controller = ControllerProcess(served, *ARGUMENTS)
    second_controller.start()
    yield second_controller
    second_controller.stop()


def lines(controller: ControllerProcess) -> list[Object]:
    return [json.loads(line) for line in controller.log.read_text().splitlines()]


def test_every_line_about_a_run_names_it_and_its_attempt(
    submit: Submit, ended: Ended, controller: ControllerProcess
) -> None:
    uid = ended(submit("exit 3", backoffLimit=1, backoff={"duration": "1s"}), "Failed")["metadata"][
        "uid"
    ]
    entries = [line for line in lines(controller) if line.get("uid") == uid]
    assert {line["taskrun"] for line in entries} == {"hello"}
    changes = [(line["attempt"], line["wrote"].split()) for line in entries if "wrote" in line]
    phases = [(attempt, words[1]) for attempt, words in changes if words[0] == "status"]
    assert phases == [(1, "Pending"), (1, "BackingOff"), (2, "Pending"), (2, "Failed")]


def test_a_run_without_errors_logs_no_warnings(
    submit: Submit, ended: Ended, controller: ControllerProcess
) -> None:
    ended(submit("true"))
    entries = [line for line in lines(controller) if line["logger"].startswith("kopf.objects")]
    assert entries == []
    assert not [line for line in lines(controller) if line["level"] not in ("info", "debug")]


def test_the_controller_shuts_down_cleanly_during_a_run(
    submit: Submit,
    watch_recorder: WatchRecorder,
    ended: Ended,
    second_controller: ControllerProcess,
) -> None:
    run = submit("trap 'exit 0' TERM; sleep 4 & wait")
    uid = run["metadata"]["uid"]
    watch_recorder.wait(lambda: watch_recorder.pods_of(uid) or None, 30, "its Pod is there")
    begun = time.monotonic()
    second_controller.stop()
    assert time.monotonic() - begun < 10
    log = second_controller.log.read_text()
    assert "Traceback" not in log
    assert "Unclosed" not in log
    second_controller.start()
    ended(run)
    assert len(watch_recorder.pods_of(uid)) == 1


def test_two_controllers_at_once_start_no_pod_twice(
    submit: Submit,
    ended: Ended,
    watch_recorder: WatchRecorder,
    controller: ControllerProcess,
    second_controller: ControllerProcess,
) -> None:
    assert controller.log != second_controller.log
    runs = [submit("sleep 1", name=f"hello-{number}") for number in range(8)]
    failing = submit("exit 3", name="failing", backoffLimit=2, backoff={"duration": "1s"})
    for run in runs:
        final = ended(run)
        assert final["status"]["attempt"] == 1
        assert len(watch_recorder.pods_of(run["metadata"]["uid"])) == 1
    assert ended(failing, "Failed")["status"]["attempt"] == 3
    assert len(watch_recorder.pods_of(failing["metadata"]["uid"])) == 3


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "taskruns.operator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_help_describes_the_options() -> None:
    done = program("--help")
    assert done.returncode == 0
    assert re.search(r"--workers N\s+number of runs", done.stdout)


def test_an_invalid_setting_is_a_one_line_error() -> None:
    done = program("--workers", "none")
    assert done.returncode == 2
    assert done.stderr == (
        "taskruns-controller: --workers is 'none': write a whole number from 1 to 256\n"
    )


def test_a_missing_context_is_a_one_line_error(cluster: Cluster) -> None:
    done = program("--kubeconfig", str(cluster.kubeconfig), "--context", "nowhere")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "cannot connect to a cluster" in done.stderr
    assert "nowhere" in done.stderr


def test_a_used_port_is_a_one_line_error(cluster: Cluster, controller: ControllerProcess) -> None:
    port = re.search(r"http://127.0.0.1:(\d+)/livez", controller.log.read_text())
    assert port is not None
    done = program("--kubeconfig", str(cluster.kubeconfig), "--probes-port", port[1])
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "the probes cannot be served" in done.stderr


def test_a_signal_before_readiness_ends_the_process_at_once(cluster: Cluster) -> None:
    command = [sys.executable, "-m", "taskruns.operator", "--kubeconfig", str(cluster.kubeconfig)]
    with subprocess.Popen(
        [*command, "--probes-port=0", "--metrics-port=off"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert "serving probes on" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()  # a second controller would disturb the next tests
    assert process.returncode == 0
    assert "Traceback" not in errors
