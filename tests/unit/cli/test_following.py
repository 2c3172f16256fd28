"""Following a run: its log is complete or reported as lost, and Ctrl-C always leaves."""

import asyncio
import errno
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, cast

import pytest

from taskruns.api.reasons import Reason
from taskruns.cli import following
from taskruns.cli import following as following_module
from taskruns.cli.backend import Backend
from taskruns.cli.exit_status import CommandError, ExitCode
from taskruns.cli.following import Followed, LogWriter, follow
from taskruns.cli.progress import Notices, ProgressPrinter
from taskruns.cli.streams import OutputFailed
from taskruns.engines.engine import Unavailable
from taskruns.engines.log_position import LogLost

LINES = b"".join(b"%d\n" % number for number in range(200_000))


def run_in(phase: str, message: str = "", **status: Any) -> dict[str, Any]:
    attempts = [{"number": 1, "podName": "hello-1", "startedTime": "now"}]
    known = {"phase": phase, "podName": "hello-1", "attempts": attempts, "message": message}
    return {"metadata": {"name": "hello"}, "status": known | status}


class Stage:
    """A place with one run, whose parts a test may delay or break."""

    kind, namespace = "docker", "default"

    def __init__(self) -> None:
        self.ends = asyncio.Event()
        self.pieces: Callable[[], AsyncIterator[bytes]] = self.lines
        self.cancel: Any = self.accept
        self.kill: Any = self.accept
        self.followers: list[str] = []

    async def accept(self, *_: Any) -> None:
        return

    async def refuse(self, *_: Any) -> None:
        raise Unavailable("Docker does not answer")

    async def hang(self, *_: Any) -> None:
        await asyncio.Event().wait()

    async def lines(self) -> AsyncIterator[bytes]:
        for begin in range(0, len(LINES), 5000):
            yield LINES[begin : begin + 5000]

    async def silence(self) -> AsyncIterator[bytes]:
        yield b"one\n"
        await asyncio.Event().wait()

    async def run(self, _name: str) -> dict[str, Any]:
        return run_in("Running")

    @asynccontextmanager
    async def following(self, _name: str) -> AsyncIterator["Stage"]:
        yield self

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        yield run_in("Running")
        await self.ends.wait()
        yield run_in("Succeeded")

    def log(self, _pod: str) -> AsyncIterator[bytes]:
        return self.pieces()

    def leave_follower(self, name: str) -> None:
        self.followers.append(name)

    async def followed(self) -> Followed:
        return await follow(cast(Backend, self), "hello", ProgressPrinter(quiet=True))


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Replace standard output by a pipe that is not read yet; return the read end."""
    read_end, write_end = os.pipe()
    monkeypatch.setattr(following, "raw_output", lambda: partial(os.write, write_end))
    with suppress(OSError):
        yield read_end
        os.close(write_end)
        os.close(read_end)  # the test may have closed it


async def test_a_slow_reader_gets_every_line(
    stage: Stage, output: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following_module, "_SILENT_SECONDS", 0.01)
    stage.ends.set()
    work = asyncio.create_task(stage.followed())
    await asyncio.sleep(0.2)  # many times the timeout for a silent log
    assert not work.done()
    received = b""
    while len(received) < len(LINES):
        received += await asyncio.to_thread(os.read, output, 1 << 20)
    assert received == LINES
    assert not (await work).is_log_lost


async def test_a_stalled_log_of_an_ended_run_is_abandoned_with_a_message(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following_module, "_SILENT_SECONDS", 0.01)
    stage.pieces = stage.silence
    stage.ends.set()
    assert (await stage.followed()).is_log_lost
    assert "taskrun: the log of hello is not complete: nothing more" in capsys.readouterr().err


async def test_an_unreadable_log_is_reported_as_lost_with_the_reason(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"one\n"
        raise LogLost("the container was removed")

    stage.pieces = broken
    stage.ends.set()
    assert (await stage.followed()).is_log_lost
    output = capsys.readouterr()
    assert output.out == "one\n"
    assert "not complete: the container was removed. `taskrun logs hello`" in output.err


async def test_a_closed_pipe_does_not_end_the_run(stage: Stage, output: int) -> None:
    os.close(output)
    work = asyncio.create_task(stage.followed())
    await asyncio.sleep(0.05)
    assert not work.done()
    stage.ends.set()
    assert not (await work).is_log_lost


async def test_a_full_disk_loses_log_and_does_not_end_the_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(following, "raw_output", lambda: full)
    work = asyncio.create_task(stage.followed())
    await asyncio.sleep(0.05)
    assert not work.done()
    stage.ends.set()
    assert (await work).is_log_lost


async def test_the_event_loop_runs_while_standard_output_is_blocked(output: int) -> None:
    writer = LogWriter()
    waiting = asyncio.create_task(writer.write(LINES + LINES))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert writer.is_blocked
    os.close(output)
    with pytest.raises(OutputFailed):
        await waiting


async def interrupted(stage: Stage, times: int) -> str:
    """Press Ctrl-C several times while a run is followed; return the final message."""
    work = asyncio.create_task(stage.followed())
    await asyncio.sleep(0.02)
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.02)
    if not work.done():
        stage.ends.set()
        await work
        return ""
    with pytest.raises(CommandError) as raised:
        await work
    assert raised.value.code == ExitCode.CANCELLED
    return raised.value.message


@pytest.mark.parametrize(
    ("cancel", "kill", "times", "words"),
    [
        ("accept", "accept", 2, ""),
        ("accept", "accept", 3, "`taskrun wait hello`"),
        ("accept", "refuse", 2, "`taskrun wait hello`"),
        ("accept", "hang", 3, "`taskrun wait hello`"),
        ("refuse", "accept", 2, "not cancelled: `taskrun follow hello`"),
        ("hang", "accept", 2, "not cancelled: `taskrun follow hello`"),
    ],
)
async def test_ctrl_c_exits_with_the_command_that_returns_to_the_run(
    stage: Stage, cancel: str, kill: str, times: int, words: str
) -> None:
    stage.cancel, stage.kill = getattr(stage, cancel), getattr(stage, kill)
    message = await interrupted(stage, times)
    assert words in message
    assert bool(message) is bool(words)
    assert stage.followers == (["hello"] if "wait" in words else [])


def output_of(capsys: pytest.CaptureFixture[str], *runs: dict[str, Any]) -> list[str]:
    printer = ProgressPrinter()
    for run in runs:
        printer.show(run)
    return capsys.readouterr().err.splitlines()


def test_the_cause_of_a_delayed_start_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    known = {"reason": "ImagePullFailed"}
    sentences = [f"no such image. This is waited for until 10:00:0{n} UTC" for n in range(3)]
    general = run_in("Pending", Reason.WAITING_TO_START.docker_meaning, reason="WaitingToStart")
    pending = [run_in("Pending", sentence, **known) for sentence in sentences]
    assert output_of(
        capsys, general, *pending, general, pending[0], run_in("Running", "it runs")
    ) == [
        "taskrun: hello Pending",
        f"taskrun: hello Pending: {sentences[0]}",
        "taskrun: hello Running",
    ]


def test_a_notice_is_repeated_only_after_a_long_time() -> None:
    messages: list[str] = []
    notices = Notices(messages.append)
    for at, sentence in ((0, "away 1"), (1, "away 2"), (2, "back"), (700, "away 3")):
        record = logging.LogRecord("taskruns", logging.WARNING, "", 0, sentence, None, None)
        record.created = at
        notices.handle(record)
    assert messages == ["away 1", "back", "away 3"]
