"""A state directory that cannot be read, in whole or in part, never looks like an empty list."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taskruns.cli.exit_status import ExitCode
from tests.support.command_line import Ended, here

NOBODY = 65534
RECORD = """{"run": {"metadata": {"name": "good", "uid": "1", "namespace": "default",
"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}, "status": {}}}"""
ALL = [["list"], ["get", "a"], ["describe", "a"], ["logs", "a"], ["wait", "a"], ["delete", "a"]]


def in_state(folder: Path, *words: str) -> Ended:
    return here(*words, environment={"TASKRUNS_STATE_DIR": str(folder)})


def a_file(state: Path) -> None:
    state.write_text("")


def a_file_for_the_namespace(state: Path) -> None:
    state.mkdir()
    (state / "default").write_text("")


def a_link_to_nothing(state: Path) -> None:
    state.symlink_to(state.parent / "nowhere")


@pytest.mark.parametrize("make", [a_file, a_file_for_the_namespace])
@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_reports_an_unusable_state_directory(
    make: Callable[[Path], None], words: list[str], tmp_path: Path
) -> None:
    make(tmp_path / "state")
    done = in_state(tmp_path / "state", *words)
    assert (done.code, done.out) == (ExitCode.NOT_RUN, "")
    assert "cannot be used (Not a directory)" in done.err


def test_a_dangling_link_is_not_an_empty_state_directory(tmp_path: Path) -> None:
    a_link_to_nothing(tmp_path / "state")
    done = in_state(tmp_path / "state", "list")
    assert (done.code, done.out) == (ExitCode.NOT_RUN, "")
    assert "cannot be used (No such file or directory)" in done.err


def test_every_command_reports_an_unreadable_directory(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for words in ALL:  # imports all modules while their files can be read
        in_state(state, *words)
    state.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(NOBODY)
        results = [in_state(state, *words) for words in ALL]
    finally:
        os.seteuid(user)
    for words, done in zip(ALL, results, strict=True):
        assert (done.code, done.out) == (ExitCode.NOT_RUN, ""), (words, done.err)
        assert "Permission denied" in done.err


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"run": 5}', '{"run": {}}', '{"run": {"metadata": null}}',
        '{"run": {"metadata": {}}}', '{"run": {"metadata": {"name": 1}}}', "[" * 100_000,
        '{"run": null, "pods": 5}', RECORD.replace('"spec": {}', '"spec": []'), "\0",
    ],
)  # fmt: skip
def test_a_broken_record_is_reported_and_hides_no_other(content: str, tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "good.json").write_text(RECORD)
    (tmp_path / "default" / "a.json").write_text(content)
    done = in_state(tmp_path, "list", "-o", "name")
    assert done.out == "taskrun.taskruns.dev/good\n"
    assert done.code == ExitCode.NOT_RUN
    assert "a.json is not a record of a run: move it away" in done.err
    for words in ALL[1:]:
        done = in_state(tmp_path, *words)
        assert done.code == ExitCode.NOT_RUN, words
        assert "a.json is not a record" in done.err


def test_a_record_that_is_a_dangling_link_is_reported(tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "a.json").symlink_to(tmp_path / "nowhere")
    for words in ALL:
        done = in_state(tmp_path, *words)
        assert done.code == ExitCode.NOT_RUN, words
        assert "a.json is a link to a file that does not exist" in done.err


@pytest.mark.parametrize("name", ["../default/good", "a/b", "A", "a" * 300, "\udcff", ""])
def test_an_invalid_name_is_not_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "good.json").write_text(RECORD)
    done = in_state(tmp_path, "get", name)
    assert done.code == ExitCode.FAILURE
    assert "not found in namespace" in done.err


def test_a_missing_state_directory_has_no_runs(tmp_path: Path) -> None:
    assert in_state(tmp_path / "none", "list") == (0, "", "No TaskRuns.\n")
    (tmp_path / "notes.txt").write_text("")
    assert in_state(tmp_path, "list") == (0, "", "No TaskRuns.\n")
