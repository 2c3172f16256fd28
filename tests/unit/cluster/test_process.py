"""Identification and stopping of recorded processes."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.process import BOOT_ID, Process


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    started = subprocess.Popen(["sleep", "60"])
    yield started
    started.kill()
    started.wait()


def _of(pid: int) -> Process:
    return Process.parse(BOOT_ID.read_text(), Path(f"/proc/{pid}/stat").read_text())


def test_a_program_name_may_hold_spaces_and_parentheses() -> None:
    fields = ["S", "1", *["0"] * 17, "4711", *["0"] * 20]
    stat = f"77 (a) b (c) d) {' '.join(fields)}"
    assert Process.parse("boot\n", stat) == Process("boot", 77, 4711)


def test_a_running_process_is_known_again(sleeper: "subprocess.Popen[bytes]") -> None:
    assert _of(sleeper.pid).alive


def test_a_number_that_was_given_to_another_process_is_not_the_same(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    process = _of(sleeper.pid)
    assert not replace(process, started=process.started - 1).alive
    assert not replace(process, boot="another boot").alive


def test_another_process_of_the_same_number_is_never_signalled(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    stranger = replace(_of(sleeper.pid), started=1)
    stranger.send(signal.SIGKILL)
    stranger.stop(grace=1)
    time.sleep(0.05)
    assert sleeper.poll() is None


def test_a_zombie_does_not_run(sleeper: "subprocess.Popen[bytes]") -> None:
    process = _of(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not process.alive


def test_stopping_asks_first(sleeper: "subprocess.Popen[bytes]") -> None:
    _of(sleeper.pid).stop(grace=5)
    assert sleeper.wait() == -signal.SIGTERM


def test_stopping_without_grace_kills(sleeper: "subprocess.Popen[bytes]") -> None:
    _of(sleeper.pid).stop(grace=0)
    assert sleeper.wait() == -signal.SIGKILL


def test_who_does_not_listen_is_killed() -> None:
    deaf = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"],
        stdout=subprocess.PIPE,
    )
    assert deaf.stdout
    deaf.stdout.readline()
    deaf.stdout.close()
    _of(deaf.pid).stop(grace=0.1)
    assert deaf.wait() == -signal.SIGKILL


@pytest.mark.parametrize("text", [None, "", "boot\n", "boot\ngarbage\n"])
def test_an_unreadable_record_is_no_process(tmp_path: Path, text: str | None) -> None:
    record = tmp_path / "record"
    if text is not None:
        record.write_text(text)
    assert Process.read(record) is None
