"""The command line as somebody starts it: by pipes, at a terminal, or within this process."""

import io
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from select import select
from typing import NamedTuple
from unittest import mock

from taskruns.cli.main import main
from taskruns.core.unstructured import EMPTY

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240
CTRL_C = b"\x03"
_PROGRAM = (sys.executable, "-m", "taskruns.cli")

Done = subprocess.CompletedProcess[str]


class Ended(NamedTuple):
    """How it ended within this process, and what it printed."""

    code: int
    out: str
    err: str


def here(*arguments: str, stdin: bytes = b"", environment: Mapping[str, str] = EMPTY) -> Ended:
    """Run it within this process: no daemon and no cluster can be reached."""
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "KUBECONFIG": "/nowhere/kubeconfig"}
    state = {"TASKRUNS_STATE_DIR": "/nowhere/state"}
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with (
        mock.patch.dict(os.environ, nowhere | state | dict(environment)),
        mock.patch.object(sys, "argv", ["taskrun", *arguments]),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = main()
    said = [file.buffer.getvalue().decode() for file in (out, err)]
    return Ended(code, *said)


class CommandLine:
    """`taskrun` in one environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def __call__(self, *arguments: str, stdin: str = "", **more: str) -> Done:
        """Run it to its end through pipes, with more variables than it has anyway."""
        return subprocess.run(
            [*_PROGRAM, *arguments],
            input=stdin,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            cwd=ROOT,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it with its standard output and error at pipes."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*_PROGRAM, *arguments], env=self.environment, stdout=pipe, stderr=pipe, text=True
        )

    @contextmanager
    def at_terminal(self, *arguments: str, **more: str) -> Iterator["Terminal"]:
        """Start it at a terminal that is its own, as a person's shell does."""
        ours, its = pty.openpty()
        # NO_COLOR and the like are somebody else's wishes.
        environment = self.environment | {"TERM": "xterm-256color", "COLUMNS": "100"} | more
        with subprocess.Popen(
            ["setsid", "--ctty", *_PROGRAM, *arguments],
            stdin=its, stdout=its, stderr=its, env=environment, cwd=ROOT,
        ) as process:  # fmt: skip
            os.close(its)
            try:
                yield Terminal(ours, process)
            finally:
                process.kill()
                os.close(ours)


class Terminal:
    """What somebody at a terminal sees and types."""

    def __init__(self, descriptor: int, process: "subprocess.Popen[bytes]") -> None:
        self._descriptor = descriptor
        self._process = process
        self.shown = ""

    def wait_for(self, words: str) -> None:
        """Read until words are shown."""
        deadline = time.monotonic() + SECONDS
        while words not in self.shown:
            assert time.monotonic() < deadline, f"{words!r} is never shown: {self.shown!r}"
            assert self._read(), f"it ended without {words!r}: {self.shown!r}"

    def type(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def wait(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        return self._process.wait(SECONDS)

    def _read(self) -> bool:
        """Read what there is; False at the end."""
        ready, _, _ = select([self._descriptor], [], [], SECONDS)
        assert ready, f"nothing more is shown after {self.shown!r}"
        try:
            piece = os.read(self._descriptor, 65536)
        except OSError:  # EIO: the last one at the other side has gone
            return False
        self.shown += piece.decode(errors="replace").replace("\r\n", "\n")
        return bool(piece)
