"""`make demo`, interrupted once by Ctrl-C and then run to its end.

It runs on its own cluster, as for a user; the promised steps are searched in its output.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.support.cluster.installation import ROOT
from tools.demo.__main__ import INTERRUPTED

NAME = "demo-proof"
LINE = r"^  \d\d:\d\d:\d\d  {run} +{phase} +1 +{code} +{reason}$"


@pytest.fixture
def demo(cluster: Cluster) -> Iterator[list[str]]:
    """Provide the command of the demonstration; delete its cluster after the test."""
    assert cluster.is_up(), "the slow part is built"
    yield [sys.executable, "-m", "tools.demo"]
    Cluster(NAME).down(progress=lambda _: None)


def test_the_demo_prints_the_documented_output_on_every_run(demo: list[str]) -> None:
    _interrupted(demo)
    shown = _run([*demo, "up"])
    for run, phase, code, reason in (
        ("hello", "Succeeded", 0, "Completed"),
        ("result", "Succeeded", 0, "Completed"),
        ("failing", "Failed", 3, "NonZeroExitCode"),
    ):
        line = LINE.format(run=run, phase=phase, code=code, reason=reason)
        assert re.search(line, shown, re.MULTILINE), shown
    assert "  hello from a TaskRun\n" in shown, "a log"
    assert '  {"rows": 42}\n' in shown, "a result"
    assert "  No resources found.\n" in shown, "their Pods are gone"
    assert f"TASKRUNS_DEMO_CLUSTER={NAME} make demo-down" in shown
    assert f"of local processes (built once, then cached): cluster {NAME}" in shown
    assert "\033" not in shown, "colour is for terminals"
    _run([*demo, "up"])
    down = _run([*demo, "down"])
    assert f"Taking down the cluster {NAME}" in down
    assert "done in" in down
    assert f"There is no cluster {NAME}" in _run([*demo, "down"])


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _interrupted(demo: list[str]) -> None:
    """Press Ctrl-C while the cluster starts; assert that the output describes how to continue."""
    started = subprocess.Popen(
        [*demo, "up"],
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with started:
        assert started.stdout
        lines = iter(started.stdout.readline, "")
        assert any("starting kube-apiserver" in line for line in lines)
        os.killpg(started.pid, signal.SIGINT)
        output = started.stdout.read()
    assert started.returncode == INTERRUPTED, output
    assert f"`TASKRUNS_DEMO_CLUSTER={NAME} make demo` continues from here" in output


def _environment() -> dict[str, str]:
    return os.environ | {"TASKRUNS_DEMO_CLUSTER": NAME}
