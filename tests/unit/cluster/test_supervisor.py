"""Starting components, with plain files in place of a control group."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from tests.cluster.cgroup import Cgroup
from tests.cluster.deadline import wait_until
from tests.cluster.error import ClusterError
from tests.cluster.supervisor import Component, Supervisor


class _NoGroup(Cgroup):
    @property
    @override
    def entry(self) -> Path:
        return Path("/dev/null")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path / "run", tmp_path / "log", _NoGroup("/none"))
    yield made
    made.stop("it", grace=0)


def _sleeper(seconds: str = "60", **files: str) -> Component:
    return Component("it", ("sleep", seconds), {Path(name): text for name, text in files.items()})


def test_a_started_component_is_recorded_and_current(supervisor: Supervisor) -> None:
    component = _sleeper()
    assert not supervisor.is_current(component)
    supervisor.start(component)
    assert supervisor.is_current(component)
    process = supervisor.process("it")
    assert process
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert command == b"sleep\x0060\x00", "the recorded process is the program, not a shell"


def test_other_arguments_make_it_stale_and_start_it_anew(supervisor: Supervisor) -> None:
    supervisor.start(_sleeper("60"))
    before = supervisor.process("it")
    assert not supervisor.is_current(_sleeper("61"))
    supervisor.start(_sleeper("61"))
    after = supervisor.process("it")
    assert before
    assert after
    assert before != after
    assert not before.alive


def test_a_stopped_component_is_stale_even_while_it_still_ends(supervisor: Supervisor) -> None:
    supervisor.start(_sleeper())
    supervisor.stop("it")
    assert supervisor.process("it") is None
    assert not supervisor.is_current(_sleeper())


def test_configuration_is_written_and_part_of_what_it_is(tmp_path: Path) -> None:
    first = Component("it", ("sleep",), {tmp_path / "config" / "it": "a"})
    second = Component("it", ("sleep",), {tmp_path / "config" / "it": "b"})
    assert first.digest != second.digest
    supervisor = Supervisor(tmp_path / "run", tmp_path / "log", _NoGroup("/none"))
    supervisor.start(first)
    assert (tmp_path / "config" / "it").read_text() == "a"


def test_another_program_behind_the_same_path_makes_it_stale(tmp_path: Path) -> None:
    link = tmp_path / "program"
    link.symlink_to("/bin/true")
    before = Component("it", (str(link),)).digest
    link.unlink()
    link.symlink_to("/bin/false")
    assert Component("it", (str(link),)).digest != before


def test_what_dies_at_its_start_is_said_with_its_log(supervisor: Supervisor) -> None:
    component = Component("it", ("sh", "-c", "echo no such flag: --frobnicate; exit 2"))
    supervisor.start(component)
    with pytest.raises(ClusterError, match="no such flag: --frobnicate"):
        supervisor.wait_ready(component, lambda: False, within=5)


def test_what_never_answers_is_given_up(supervisor: Supervisor) -> None:
    supervisor.start(_sleeper())
    with pytest.raises(ClusterError, match="it to be ready: not within 0 s"):
        supervisor.wait_ready(_sleeper(), lambda: False, within=0.05)


def test_a_component_sees_nothing_of_the_environment(supervisor: Supervisor) -> None:
    program = "import json, os; print(json.dumps(sorted(os.environ)))"
    supervisor.start(Component("it", ("python3", "-c", program), environ={"GIVEN": "1"}))
    log = supervisor.log("it")
    wait_until(lambda: bool(log.read_text()), within=5, condition="the program to print")
    variables = set(json.loads(log.read_text()))
    assert {"GIVEN", "HOME", "PATH"} <= variables
    assert not {"PYTEST_CURRENT_TEST", "KUBECONFIG"} & variables
