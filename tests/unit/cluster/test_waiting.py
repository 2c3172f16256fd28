"""Waiting for conditions, running commands, and locks."""

import sys
import threading
import time
from pathlib import Path

import pytest

from tests.cluster import command, lock
from tests.cluster.deadline import wait_until
from tests.cluster.error import ClusterError
from tests.cluster.progress import Progress


def test_a_wait_ends_and_says_what_it_was_for() -> None:
    with pytest.raises(ClusterError, match="the sun to rise: not within 0 s"):
        wait_until(lambda: False, within=0.02, condition="the sun to rise")


def test_a_failed_command_shows_what_it_printed() -> None:
    with pytest.raises(ClusterError, match="no luck"):
        command.run(["sh", "-c", "echo no luck >&2; exit 3"])


def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(ClusterError, match="did not end within"):
        command.run(["sleep", "60"], within=0.02)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ClusterError, match="no-such-program is not installed"):
        command.run(["no-such-program"])


def test_a_long_command_shows_signs_of_life_and_keeps_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "HEARTBEAT", 0.05)
    lines: list[str] = []
    log = tmp_path / "log"
    command.run_long(
        ["sh", "-c", "echo one; sleep 0.15; echo two"],
        task="counting",
        log=log,
        progress=Progress(lines.append),
        within=10,
    )
    assert log.read_text() == "one\ntwo\n"
    assert len(lines) >= 2
    assert all("still counting" in line for line in lines)


def test_a_long_command_that_fails_ends_with_the_tail_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"counting failed \(4\)(.|\n)*\| line 60"):
        command.run_long(
            [sys.executable, "-c", "print(*map('line {}'.format, range(61)), sep='\\n'); exit(4)"],
            task="counting",
            log=tmp_path / "log",
            progress=Progress(lambda _: None),
            within=10,
        )


def test_a_long_command_past_its_limit_is_killed(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ClusterError, match="counting did not end"):
        command.run_long(
            ["sleep", "60"],
            task="counting",
            log=tmp_path / "log",
            progress=Progress(lambda _: None),
            within=0.05,
        )
    assert time.monotonic() - began < 5


def test_one_at_a_time_holds_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "INTERVAL", 0.01)
    path, order = tmp_path / "lock", list[str]()
    reported = threading.Event()

    def tell(line: str) -> None:
        order.append(line.partition("another ")[2])
        reported.set()

    def second() -> None:
        with lock.held(path, "the thing", Progress(tell)):
            order.append("second")

    thread = threading.Thread(target=second)
    with lock.held(path, "the thing"):
        thread.start()
        assert reported.wait(5)
        order.append("first")
    thread.join(5)
    assert order == ["command uses the thing: waiting for it", "first", "second"]


def test_a_lock_that_was_removed_excludes_nobody(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock.held(path, "the thing"):
        path.unlink()
        with lock.held_if_free(path) as free:
            assert free


def test_a_lock_in_use_can_be_passed_by(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock.held(path, "the thing"), lock.held_if_free(path) as free:
        assert not free
