"""Standard streams that are closed, full or unread: one sentence, and no success for lost data."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from taskruns.cli.exit_status import ExitCode
from tests.support.command_line import ROOT

SAMPLE = str(ROOT / "manifests/samples/hello.yaml")
RECORD = """{"run": {"apiVersion": "taskruns.dev/v1alpha1", "kind": "TaskRun",
"metadata": {"name": "a", "uid": "1", "namespace": "default",
"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"image": "busybox:1"}, "status": {}}}"""
PRINTING = [
    ["list"], ["list", "-o", "json"], ["get", "a", "-o", "yaml"], ["describe", "a"], ["new"],
    ["render", SAMPLE], ["validate", SAMPLE], ["completion", "bash"], ["version", "--client"],
    ["--help"],
]  # fmt: skip


def shell(script: str, words: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a line of shell in which `taskrun` is the program with these words."""
    state = folder / "default"
    state.mkdir(exist_ok=True)
    (state / "a.json").write_text(RECORD)
    return subprocess.run(
        ["bash", "-c", f'taskrun() {{ "$PYTHON" -m taskruns.cli "$@"; }}; {script}', "-", *words],
        env=os.environ | {"PYTHON": sys.executable, "TASKRUNS_STATE_DIR": str(folder)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
@pytest.mark.parametrize("to", [">/dev/full", ">&-"])
def test_a_write_error_of_standard_output_is_a_failure(
    words: list[str], to: str, tmp_path: Path
) -> None:
    done = shell(f'taskrun "$@" {to}', words, tmp_path)
    assert done.returncode == ExitCode.OUTPUT
    (line,) = done.stderr.splitlines()
    assert line.startswith("taskrun: standard output cannot be written: ")


@pytest.mark.parametrize("to", ["2>/dev/full", "2>&-", "2>&- <&-"])
def test_a_write_error_of_standard_error_is_ignored(to: str, tmp_path: Path) -> None:
    assert shell(f'taskrun "$@" {to}', ["validate", "-q", SAMPLE], tmp_path).returncode == 0
    assert shell(f'taskrun "$@" {to}', ["get", "b"], tmp_path).returncode == ExitCode.FAILURE


def test_a_reader_that_closes_the_pipe_is_no_error(tmp_path: Path) -> None:
    script = 'taskrun "$@" | true; echo "${PIPESTATUS[@]}"'
    done = shell(script, ["new"], tmp_path)
    assert done.stderr == ""
    assert done.stdout in {"141 0\n", "0 0\n"}  # all may be written before the reader ends


def test_a_closed_standard_input_is_reported(tmp_path: Path) -> None:
    done = shell('taskrun "$@" <&-', ["validate", "-"], tmp_path)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr == "taskrun: standard input cannot be read: Bad file descriptor\n"
