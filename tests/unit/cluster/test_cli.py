"""The command line of the test cluster: states, errors and exit codes."""

import json
from pathlib import Path

import pytest

from tests.cluster import cli, place
from tests.cluster.status import ComponentStatus, Status


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(place, "LONGEST_FOLDER", 1000)  # pytest's folders have long names


def _status(*components: ComponentStatus, node_ready: bool = False) -> Status:
    return Status("a", "local", "https://x", "a-node", node_ready, components)


WELL = ComponentStatus("etcd", 1, healthy=True)
ILL = ComponentStatus("etcd", 1, healthy=False)
GONE = ComponentStatus("etcd", None, healthy=False)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (_status(WELL, node_ready=True), "ready"),
        (_status(WELL, node_ready=False), "degraded"),
        (_status(ILL, node_ready=True), "degraded"),
        (_status(WELL, GONE, node_ready=True), "degraded"),
        (_status(GONE, GONE), "down"),
    ],
)
def test_a_cluster_is_ready_when_everything_is(found: Status, state: str) -> None:
    assert found.state == state
    assert json.loads(found.as_json())["state"] == state
    assert state in found.as_table()


def test_a_cluster_that_was_never_made_is_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--name", "never", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["state"] == "down"


def test_taking_down_what_is_not_there_is_well(tmp_path: Path) -> None:
    assert cli.main(["down", "--name", "never"]) == 0
    assert not [path for path in tmp_path.rglob("*") if path.name != "cache" and path.is_file()]


@pytest.mark.parametrize("command", ["kubeconfig", "env"])
def test_without_a_cluster_the_way_to_one_is_said(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--name", "never"]) == 1
    shown = capsys.readouterr()
    assert "python -m tests.cluster up --name never" in shown.err
    assert not shown.out


def test_a_bad_name_is_an_error_not_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["up", "--name", "../x"]) == 1
    assert "is not a valid cluster name" in capsys.readouterr().err


def test_wrong_usage_has_its_own_code() -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["stop", "no-such-component"])
    assert ended.value.code == 2


def test_every_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    assert "Exit codes" in capsys.readouterr().out
