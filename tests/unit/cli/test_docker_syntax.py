"""Variables with docker's syntax, and hints for the words of users who know docker or kubectl."""

from pathlib import Path
from typing import Any

import click
import pytest

from taskruns.cli.main import COMMANDS, unknown_command
from taskruns.cli.manifest import read_variables, with_variables
from taskruns.cli.target import is_name, suggested
from tests.support.command_line import here


def test_an_unset_variable_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOPE", raising=False)
    monkeypatch.setenv("HERE", "")
    file = tmp_path / "env"
    file.write_text("NOPE\nHERE\nGIVEN=\n")
    assert read_variables(["NOPE", "HERE"], str(file)) == {"HERE": "", "GIVEN": ""}


def test_an_env_file_is_read_as_by_docker(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_bytes(
        "\ufeffA=1\r\n  # no variable\n\n  B= two words \nC=a\u2028b\nA=3\nD='q'\n".encode()
    )
    assert read_variables(["B=x=y"], str(file)) == {
        "A": "3", "B": "x=y", "C": "a\u2028b", "D": "'q'"
    }  # fmt: skip


@pytest.mark.parametrize("line", ["=1", "A B=1", "A B"])
def test_an_invalid_line_of_an_env_file_is_reported_by_its_number(
    line: str, tmp_path: Path
) -> None:
    file = tmp_path / "env"
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(click.UsageError, match=r"env:2: write NAME=VALUE"):
        read_variables([], str(file))


def test_variables_on_the_command_line_override_the_file() -> None:
    own: list[dict[str, Any]] = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]
    changed = with_variables({"spec": {"env": own}}, {"A": "2", "C": "3"})["spec"]["env"]
    assert changed == [{"name": "C", "value": "3"}, {"name": "A", "value": "2"}, own[1]]


@pytest.mark.parametrize(
    ("typed", "command"),
    [("lst", "list"), ("ps", "list"), ("rm", "delete"), ("desribe", "describe"), ("Run", "run"),
     ("apply", "run"), ("stop", "cancel"), ("logz", "logs"), ("complete", "completion")],
)  # fmt: skip
def test_an_unknown_command_suggests_a_known_one(typed: str, command: str) -> None:
    assert (
        unknown_command(typed, COMMANDS) == f"No such command {typed!r}. Did you mean {command!r}?"
    )
    assert f"Did you mean {command!r}? See taskrun --help" in here(typed).err


def test_a_command_unlike_any_other_gets_no_suggestion() -> None:
    assert unknown_command("xyzzy", COMMANDS) == "No such command 'xyzzy'."


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["run", "a.yaml", "--image", "x"], "--image cannot be used with the file a.yaml: set"),
        (["run", "--image", "x", "-"], "--image cannot be used with the file -: set"),
        (["run", "busybox:1", "echo", "hi"], "`taskrun run --image busybox:1 -- echo hi`"),
        (["run", "busybox:1"], "`taskrun run --image busybox:1`"),
        (["run", "a.yaml", "echo", "hi"], "`taskrun run --image IMAGE -- echo hi`"),
        (["run", "--imag", "x"], "Did you mean '--image'?"),
        (["new", "Bad Name"], "such as bad-name"),
        (["new", "a" * 64], "write at most 63 lower-case letters"),
        (["new", "-- "], "No such option"),
    ],
)
def test_usage_errors_contain_the_correction(words: list[str], hint: str) -> None:
    done = here(*words)
    assert (done.code, done.out) == (2, "")
    assert hint in done.err
    assert len(done.err.splitlines()) == 1


def test_a_program_may_have_the_name_of_a_file() -> None:
    assert "cannot be used with the file" not in here("run", "--image", "x", "--", "a.yaml").err


@pytest.mark.parametrize("name", ["Bad Name", "a..b", "-a-", "A_b.C", "x" * 80, "\N{SNOWMAN}"])
def test_suggested_names_are_valid(name: str) -> None:
    assert not is_name(name)
    assert suggested(name) == "" or is_name(suggested(name))
