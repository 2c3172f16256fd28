"""Shell completion of commands and of the names of existing runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from taskruns.cli.__main__ import complete as complete_for_kubectl
from tests.support.command_line import here

KUBECTL_ASKS = "kubectl_complete-taskrun"


def complete(words: str, position: int, **environment: str) -> list[str]:
    """Return the completions that bash gets for the word at a position."""
    query = {"_TASKRUN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    done = here(environment=environment | query)
    assert done.err == ""
    return [line.partition(",")[2] for line in done.out.splitlines() if line]


def write_runs(state: Path, *names: str) -> None:
    (state / "default").mkdir()
    for name in names:
        run = {"metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}}
        record = {"run": run, "pods": {}, "asked": {}, "version": 1}
        (state / "default" / f"{name}.json").write_text(json.dumps(record))


def test_commands_and_names_of_runs_are_completed(tmp_path: Path) -> None:
    write_runs(tmp_path, "nightly", "nightly-2", "other")
    state = {"TASKRUNS_STATE_DIR": str(tmp_path)}
    assert complete("taskrun desc", 1) == ["describe"]
    assert complete("taskrun describe ni", 2, **state) == ["nightly", "nightly-2"]
    assert complete("taskrun logs --attempt 1 ", 4, **state) == ["nightly", "nightly-2", "other"]


def test_without_a_backend_no_completions_are_printed() -> None:
    assert complete("taskrun describe --on kubernetes ", 4) == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["desc"], ["describe", ":4"]),
        (["describe", "-o"], [":4"]),
        (["list", "--output", "j"], ["json", ":4"]),
        (["describe", "--on", "docker", "ni"], ["nightly", ":4"]),
        (["run", ""], [":0"]),
    ],
)
def test_completions_for_kubectl_have_its_format(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    offered: list[str],
) -> None:
    write_runs(tmp_path, "nightly", "other")
    monkeypatch.setenv("TASKRUNS_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [KUBECTL_ASKS, *words])
    assert complete_for_kubectl() == 0
    output = capsys.readouterr()
    assert [line.partition("\t")[0] for line in output.out.splitlines()] == offered
    assert output.err == ""


def test_the_completion_program_of_kubectl_is_installed(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name(KUBECTL_ASKS)
    done = subprocess.run(
        [program, "desc"], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert (done.stdout.split("\t")[0], done.stderr) == ("describe", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_completion_script(shell: str) -> None:
    done = here("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"_TASKRUN_COMPLETE={shell}_complete" in done.out
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.out, text=True, check=True)
