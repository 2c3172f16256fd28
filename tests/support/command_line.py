"""Run the command line in three ways: through pipes, at a terminal, or within this process."""

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
    """Exit code and output of a command that ran within this process."""

    code: int
    out: str
    err: str


def here(*arguments: str, stdin: bytes = b"", environment: Mapping[str, str] = EMPTY) -> Ended:
    """Run the command within this process, where it can reach no daemon and no cluster."""
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
    outputs = [file.buffer.getvalue().decode() for file in (out, err)]
    return Ended(code, *outputs)


class CommandLine:
    """The `taskrun` program with a fixed environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def __call__(self, *arguments: str, stdin: str = "", **more: str) -> Done:
        """Run the program to its end through pipes; `more` adds environment variables."""
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
        """Start the program with pipes as its standard output and error."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*_PROGRAM, *arguments], env=self.environment, stdout=pipe, stderr=pipe, text=True
        )

    @contextmanager
    def at_terminal(self, *arguments: str, **more: str) -> Iterator["Terminal"]:
        """Start the program at its own terminal, as an interactive shell does."""
        master, slave = pty.openpty()
        # The caller's settings, such as NO_COLOR, must not change what is tested.
        environment = self.environment | {"TERM": "xterm-256color", "COLUMNS": "100"} | more
        with subprocess.Popen(
            ["setsid", "--ctty", *_PROGRAM, *arguments],
            stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=ROOT,
        ) as process:  # fmt: skip
            os.close(slave)
            try:
                yield Terminal(master, process)
            finally:
                process.kill()
                os.close(master)


class Terminal:
    """A pseudo-terminal: the text that it shows and the keys that are typed."""

    def __init__(self, descriptor: int, process: "subprocess.Popen[bytes]") -> None:
        self._descriptor = descriptor
        self._process = process
        self.shown = ""

    def wait_for(self, words: str) -> None:
        """Read until the terminal shows the given text."""
        deadline = time.monotonic() + SECONDS
        while words not in self.shown:
            assert time.monotonic() < deadline, f"{words!r} is never shown: {self.shown!r}"
            assert self._read(), f"it ended without {words!r}: {self.shown!r}"

    def type(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def wait(self) -> int:
        """Read until the end of output and return the exit code."""
        while self._read():
            pass
        return self._process.wait(SECONDS)

    def _read(self) -> bool:
        """Read the available output; return False at its end."""
        ready, _, _ = select([self._descriptor], [], [], SECONDS)
        assert ready, f"nothing more is shown after {self.shown!r}"
        try:
            piece = os.read(self._descriptor, 65536)
        except OSError:  # EIO: no process has the other side open
            return False
        self.shown += piece.decode(errors="replace").replace("\r\n", "\n")
        return bool(piece)
